/* BITFIELD: numbers of any width inside a string. */
#include "server/commands/bit.h"
#include "server/keyspace.h"

enum field_word { FIELD_GET, FIELD_SET, FIELD_INCRBY };
enum field_overflow { OVERFLOW_WRAP, OVERFLOW_SATURATE, OVERFLOW_FAIL };

struct field_operation {
    enum field_word word;
    enum field_overflow overflow;
    bool is_signed;
    unsigned width; /* bits: 1 to 64, unsigned ones to 63 */
    uint64_t offset;
    int64_t argument; /* the value, or what is added */
};

struct field_plan {
    struct field_operation *operations; /* scratch */
    size_t count;
    uint64_t last_written; /* the furthest bit */
    bool writes;
};

static bool parse_overflow(
    struct request *request, int index, enum field_overflow *overflow)
{
    if (arg_is(request, index, "wrap")) {
        *overflow = OVERFLOW_WRAP;
    } else if (arg_is(request, index, "sat")) {
        *overflow = OVERFLOW_SATURATE;
    } else if (arg_is(request, index, "fail")) {
        *overflow = OVERFLOW_FAIL;
    } else {
        reply_error(request->reply, "ERR Invalid OVERFLOW type specified");
        return false;
    }
    return true;
}

/* "i16", "u8": a sign and a width. */
static bool parse_type(
    struct request *request, int index, struct field_operation *operation)
{
    struct bytes text = request->argv[index];
    int64_t width = 0;
    bool is_signed = text.size > 0 && text.data[0] == 'i';
    bool named = is_signed || (text.size > 0 && text.data[0] == 'u');
    if (!named ||
        !bytes_to_int64(bytes_of(text.data + 1, text.size - 1), &width) ||
        width < 1 || width > (is_signed ? 64 : 63)) {
        reply_error(request->reply,
            "ERR Invalid bitfield type. Use something like i16 u8. Note that "
            "u64 is not supported but i64 is.");
        return false;
    }
    operation->is_signed = is_signed;
    operation->width = (unsigned)width;
    return true;
}

/* Which operation argument `index` begins, and how many arguments that one
 * has behind its name; false when it is none or they are too few. */
static bool parse_word(const struct request *request, int index,
    enum field_word *word, int *arguments)
{
    static const struct {
        const char *name;
        int arguments;
    } words[] = {
        [FIELD_GET] = {"get", 2},
        [FIELD_SET] = {"set", 3},
        [FIELD_INCRBY] = {"incrby", 3},
    };
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (arg_is(request, index, words[i].name)) {
            *word = (enum field_word)i;
            *arguments = words[i].arguments;
            return index + *arguments < request->argc;
        }
    }
    return false;
}

/* One operation, whose name is argument `index`. */
static bool parse_operation(
    struct request *request, int index, struct field_operation *operation)
{
    return parse_type(request, index + 1, operation) &&
           bit_arg_offset(
               request, index + 2, operation->width, &operation->offset) &&
           (operation->word == FIELD_GET ||
               arg_int64(request, index + 3, &operation->argument));
}

static bool parse_plan(struct request *request, struct field_plan *plan)
{
    enum field_overflow overflow = OVERFLOW_WRAP;
    plan->operations = scratch_alloc(request->scratch,
        ((size_t)request->argc / 3 + 1) * sizeof(*plan->operations));
    for (int i = 2; i < request->argc;) {
        struct field_operation *operation = &plan->operations[plan->count];
        int arguments = 1;
        if (arg_is(request, i, "overflow") && i + 1 < request->argc) {
            if (!parse_overflow(request, i + 1, &overflow)) {
                return false;
            }
            i += 2;
            continue;
        }
        if (!parse_word(request, i, &operation->word, &arguments)) {
            error_syntax(request);
            return false;
        }
        operation->overflow = overflow;
        if (!parse_operation(request, i, operation)) {
            return false;
        }
        if (operation->word != FIELD_GET) {
            uint64_t last = operation->offset + operation->width - 1;
            plan->writes = true;
            plan->last_written =
                last > plan->last_written ? last : plan->last_written;
        }
        plan->count++;
        i += arguments + 1;
    }
    return true;
}

bool bit_field_only_reads(const struct request *request)
{
    for (int i = 2; i < request->argc;) {
        enum field_word word;
        int arguments = 1;
        bool overflow = arg_is(request, i, "overflow") && i + 1 < request->argc;
        if (!overflow &&
            (!parse_word(request, i, &word, &arguments) || word != FIELD_GET)) {
            return false;
        }
        i += arguments + 1;
    }
    return true;
}

/* `raw` bits of the operation's width as the number they stand for. */
static int64_t as_number(const struct field_operation *operation, uint64_t raw)
{
    if (!operation->is_signed) {
        return (int64_t)raw;
    }
    unsigned unused = 64 - operation->width;
    return (int64_t)(raw << unused) >> unused;
}

/* Negative values that SET, as Redis does, takes for too large ones: any for
 * a field without a sign, and those further from its `high` than 2^63 for a
 * signed one that is not 64 bits wide. */
static bool set_wraps_up(
    const struct field_operation *operation, int64_t value, int64_t high)
{
    int64_t distance;
    if (!operation->is_signed) {
        return value < 0;
    }
    return operation->width < 64 &&
           __builtin_sub_overflow(high, value, &distance);
}

/* Puts `base` + `added`, or what stands for it when it does not fit, into
 * *result; false when the operation is to fail then. */
static bool add_within(const struct field_operation *operation, int64_t base,
    int64_t added, int64_t *result)
{
    unsigned magnitude = operation->width - (operation->is_signed ? 1u : 0u);
    int64_t high = (int64_t)((UINT64_C(1) << magnitude) - 1);
    int64_t low = operation->is_signed ? -high - 1 : 0;
    int64_t sum;
    bool overflows = __builtin_add_overflow(base, added, &sum);
    bool above = overflows ? added > 0 : sum > high;
    bool below = overflows ? added < 0 : sum < low;
    if (operation->word == FIELD_SET && set_wraps_up(operation, base, high)) {
        above = true;
        below = false;
    }
    if (!above && !below) {
        *result = sum;
        return true;
    }
    if (operation->overflow == OVERFLOW_SATURATE) {
        *result = above ? high : low;
        return true;
    }
    uint64_t wrapped = (uint64_t)base + (uint64_t)added;
    uint64_t mask = UINT64_MAX >> (64 - operation->width);
    *result = as_number(operation, wrapped & mask);
    return operation->overflow == OVERFLOW_WRAP;
}

/* Runs one operation that may write on `text`; true when it wrote another
 * number than there was. */
static bool run_operation(struct request *request,
    const struct field_operation *operation, const struct bit_text *text)
{
    uint64_t raw = bit_get_field(
        bytes_of(text->data, text->size), operation->offset, operation->width);
    int64_t old = as_number(operation, raw);
    int64_t new = old;
    bool fits = true;
    if (operation->word == FIELD_SET) {
        fits = add_within(operation, operation->argument, 0, &new);
    } else if (operation->word == FIELD_INCRBY) {
        fits = add_within(operation, old, operation->argument, &new);
    }
    if (!fits) {
        reply_null(request->reply);
        return false;
    }
    reply_integer(request->reply, operation->word == FIELD_SET ? old : new);
    if (operation->word == FIELD_GET) {
        return false;
    }
    bit_set_field(
        text->data, operation->offset, operation->width, (uint64_t) new);
    return text->grown || new != old;
}

static void run_reading(struct request *request, const struct field_plan *plan)
{
    const struct entry *entry =
        db_read(request->db, request->argv[1], request->now_ms);
    if (!require_type(request, entry, TYPE_STRING)) {
        return;
    }
    struct bytes text = bit_string(request, entry);
    reply_array(request->reply, plan->count);
    for (size_t i = 0; i < plan->count; i++) {
        const struct field_operation *operation = &plan->operations[i];
        uint64_t raw = bit_get_field(text, operation->offset, operation->width);
        reply_integer(request->reply, as_number(operation, raw));
    }
}

static void run_writing(struct request *request, const struct field_plan *plan)
{
    struct bit_text text;
    if (!bit_writable(request, plan->last_written, &text)) {
        return;
    }
    uint64_t changes = 0;
    reply_array(request->reply, plan->count);
    for (size_t i = 0; i < plan->count; i++) {
        if (run_operation(request, &plan->operations[i], &text)) {
            changes++;
        }
    }
    if (changes > 0) {
        keyspace_changed(request, request->argv[1]);
        keyspace_event(request, KEYSPACE_STRING, "setbit", request->argv[1]);
        request->changes += changes;
    }
}

static void run(struct request *request, bool may_write)
{
    struct field_plan plan = {0};
    if (!parse_plan(request, &plan)) {
        return;
    }
    if (!plan.writes) {
        run_reading(request, &plan);
    } else if (may_write) {
        run_writing(request, &plan);
    } else {
        reply_error(
            request->reply, "ERR BITFIELD_RO only supports the GET subcommand");
    }
}

void cmd_bitfield(struct request *request)
{
    run(request, true);
}

void cmd_bitfield_ro(struct request *request)
{
    run(request, false);
}
