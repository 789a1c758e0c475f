/* A recursive descent over the few forms of command_syntax.h. The table is
 * ours, so a text that does not fit is a bug. */
#include "server/commands/command_syntax.h"

#include <ctype.h>

struct parser {
    const char *at;
    struct scratch *scratch;
};

/* A list under construction. */
struct list {
    struct syntax *first;
    size_t count;
    bool repeats; /* ended in "..." */
};

static struct syntax *alternatives(struct parser *parser, bool *repeats);

static struct syntax *new_node(struct parser *parser, enum syntax_kind kind)
{
    struct syntax *node = scratch_alloc(parser->scratch, sizeof(*node));
    memset(node, 0, sizeof(*node));
    node->kind = kind;
    return node;
}

static void skip_spaces(struct parser *parser)
{
    while (*parser->at == ' ') {
        parser->at++;
    }
}

static void list_append(struct list *list, struct syntax *node)
{
    struct syntax **end = &list->first;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = node;
    list->count++;
}

static bool bare_token(const struct syntax *node)
{
    return node->kind == SYNTAX_TOKEN && !node->optional;
}

static bool same_start(const struct syntax *a, const struct syntax *b)
{
    return a->kind == b->kind && bytes_equal(a->name, b->name) &&
           bytes_equal(a->token, b->token);
}

static size_t list_length(const struct syntax *node)
{
    size_t count = 0;
    for (; node != NULL; node = node->next) {
        count++;
    }
    return count;
}

/* One node for a list: itself, a word with what it announces, or a block. */
static struct syntax *collapse(struct parser *parser, struct syntax *first)
{
    if (first->next == NULL) {
        return first;
    }
    if (bare_token(first) && !bare_token(first->next)) {
        struct syntax *rest = collapse(parser, first->next);
        if (rest->token.size == 0 && !rest->optional) {
            rest->token = first->token;
            return rest;
        }
        struct syntax *outer = new_node(parser, SYNTAX_BLOCK);
        outer->token = first->token;
        outer->children = first->next;
        return outer;
    }
    struct syntax *block = new_node(parser, SYNTAX_BLOCK);
    block->children = first;
    return block;
}

/* "a b [a b ...]": the bracket says that the last nodes of the list repeat.
 * False when it repeats something else. */
static bool merge_repetition(
    struct parser *parser, struct list *list, const struct syntax *repeated)
{
    size_t length = list_length(repeated);
    if (length > list->count) {
        return false;
    }
    struct syntax **tail = &list->first;
    for (size_t skip = list->count - length; skip > 0; skip--) {
        tail = &(*tail)->next;
    }
    check(*tail != NULL && repeated != NULL);
    if (!same_start(*tail, repeated)) {
        return false;
    }
    bool with_token = bare_token(*tail);
    *tail = collapse(parser, *tail);
    (*tail)->multiple = true;
    (*tail)->multiple_token = with_token;
    list->count = list->count - length + 1;
    return true;
}

/* What stands in brackets: a repetition of what went before, or an optional
 * argument. */
static void bracket(struct parser *parser, struct list *list)
{
    bool repeats = false;
    struct syntax *inner = alternatives(parser, &repeats);
    check(*parser->at == ']');
    parser->at++;
    if (repeats && merge_repetition(parser, list, inner)) {
        return;
    }
    struct syntax *node = collapse(parser, inner);
    node->optional = true;
    node->multiple = node->multiple || repeats;
    list_append(list, node);
}

static struct syntax *word(struct parser *parser)
{
    const char *start = parser->at;
    bool token = true;
    while (*parser->at != '\0' && strchr(" []<>|", *parser->at) == NULL) {
        token = token && !islower((unsigned char)*parser->at);
        parser->at++;
    }
    check(parser->at > start);
    struct bytes text = bytes_of(start, (size_t)(parser->at - start));
    struct syntax *node = new_node(parser, token ? SYNTAX_TOKEN : SYNTAX_NAME);
    *(token ? &node->token : &node->name) = text;
    return node;
}

/* Up to the end of the text, a bar or a closing bracket. */
static struct list sequence(struct parser *parser)
{
    struct list list = {0};
    for (;;) {
        skip_spaces(parser);
        if (*parser->at == '\0' || strchr("]>|", *parser->at) != NULL) {
            return list;
        }
        if (strncmp(parser->at, "...", 3) == 0) {
            parser->at += 3;
            list.repeats = true;
        } else if (*parser->at == '[') {
            parser->at++;
            bracket(parser, &list);
        } else if (*parser->at == '<') {
            parser->at++;
            bool repeats = false;
            list_append(
                &list, collapse(parser, alternatives(parser, &repeats)));
            check(*parser->at == '>');
            parser->at++;
        } else {
            list_append(&list, word(parser));
        }
    }
}

/* The nodes of one sequence, or one node for several divided by bars. */
static struct syntax *alternatives(struct parser *parser, bool *repeats)
{
    struct list list = sequence(parser);
    *repeats = list.repeats;
    check(list.first != NULL);
    if (*parser->at != '|') {
        return list.first;
    }
    struct syntax *oneof = new_node(parser, SYNTAX_ONEOF);
    struct list choices = {0};
    list_append(&choices, collapse(parser, list.first));
    while (*parser->at == '|') {
        parser->at++;
        list = sequence(parser);
        check(list.first != NULL);
        list_append(&choices, collapse(parser, list.first));
    }
    oneof->children = choices.first;
    return oneof;
}

/* Outside brackets a word announces the one argument behind it. */
static void bind_tokens(struct syntax **link)
{
    for (; *link != NULL; link = &(*link)->next) {
        struct syntax *node = *link;
        struct syntax *next = node->next;
        if (bare_token(node) && next != NULL && !next->optional &&
            next->kind != SYNTAX_TOKEN && next->token.size == 0) {
            next->token = node->token;
            *link = next;
        }
    }
}

struct syntax *syntax_parse(const char *text, struct scratch *scratch)
{
    struct parser parser = {.at = text, .scratch = scratch};
    struct list list = sequence(&parser);
    check(*parser.at == '\0');
    bind_tokens(&list.first);
    return list.first;
}
