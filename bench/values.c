#include "bench/values.h"

#include <stdio.h>
#include <string.h>

#include "bench/keys.h"

char *value_put_random(char *at, uint64_t key, size_t size)
{
    uint64_t state = keys_mix(key + 1);

    for (; size >= 8; size -= 8, at += 8) {
        memcpy(at, &state, 8);
        state = state * 0xd1342543de82ef95u + 1;
    }
    memcpy(at, &state, size);
    return at + size;
}

static const char *const first_names[] = {"Anna", "Boris", "Chen", "Dalia",
    "Emil", "Fatima", "Georg", "Hanna", "Ivan", "Julia", "Karim", "Lena",
    "Marek", "Nadia", "Oscar", "Priya", "Quentin", "Rosa", "Stefan", "Tariq",
    "Ursula", "Viktor", "Wanda", "Yusuf"};
static const char *const last_names[] = {"Almeida", "Becker", "Costa", "Dubois",
    "Eriksson", "Fischer", "Garcia", "Hoffmann", "Ivanova", "Jensen",
    "Kowalski", "Lindgren", "Moreau", "Novak", "Okafor", "Petrov", "Rossi",
    "Schmidt", "Takahashi", "Ueda", "Vasquez", "Weber", "Yilmaz", "Zhang"};
static const char *const cities[] = {"Amsterdam", "Barcelona", "Copenhagen",
    "Dublin", "Edinburgh", "Frankfurt", "Geneva", "Hamburg", "Istanbul",
    "Krakow", "Lisbon", "Madrid", "Naples", "Oslo", "Prague", "Stockholm"};
static const char *const words[] = {"account", "address", "always", "another",
    "asked", "because", "before", "billing", "called", "changed", "checked",
    "customer", "delayed", "delivery", "email", "evening", "first", "friday",
    "gift", "invoice", "item", "late", "letter", "missing", "monday", "morning",
    "never", "number", "offer", "office", "order", "package", "paid", "parcel",
    "phone", "price", "problem", "question", "refund", "reply", "return",
    "second", "sent", "shipping", "store", "street", "support", "thanks",
    "today", "tomorrow", "twice", "urgent", "voucher", "waiting", "warranty",
    "week", "wrong", "year"};

#define PICK(list, random)                                                     \
    list[keys_random(random) % (sizeof(list) / sizeof(*(list)))]

static unsigned below(struct keys *random, unsigned limit)
{
    return (unsigned)(keys_random(random) % limit);
}

/* Words up to exactly `size` bytes; the last one may be cut short. */
static char *put_words(char *at, struct keys *random, size_t size)
{
    const char *word = PICK(words, random);

    for (; size > 0; size--) {
        *at++ = *word != '\0' ? *word : ' ';
        word = *word != '\0' ? word + 1 : PICK(words, random);
    }
    return at;
}

char *value_put_json(char *at, uint64_t key, size_t size)
{
    struct keys random = {.random = keys_mix(key + 1)};
    const char *first = PICK(first_names, &random);
    const char *last = PICK(last_names, &random);
    char text[VALUE_JSON_MIN_BYTES];
    uint64_t id = keys_random(&random);
    int used = snprintf(text, sizeof(text),
        "{\"id\":%llu,\"session\":\"%016llx\",\"name\":\"%s %s\","
        "\"email\":\"%s.%s%u@example.com\",\"age\":%u,\"verified\":%s,"
        "\"created_at\":\"20%02u-%02u-%02uT%02u:%02u:%02uZ\","
        "\"address\":{\"street\":\"%s Street %u\",\"city\":\"%s\","
        "\"zip\":\"%05u\"},\"balance\":%u.%02u,\"currency\":\"EUR\","
        "\"last_login\":{\"ip\":\"%u.%u.%u.%u\",\"at\":%u},"
        "\"roles\":[\"%s\",\"%s\"],\"note\":\"",
        (unsigned long long)key, (unsigned long long)id, first, last, first,
        last, below(&random, 1000), 18 + below(&random, 70),
        below(&random, 4) > 0 ? "true" : "false", 15 + below(&random, 11),
        1 + below(&random, 12), 1 + below(&random, 28), below(&random, 24),
        below(&random, 60), below(&random, 60), PICK(last_names, &random),
        1 + below(&random, 200), PICK(cities, &random), below(&random, 100000),
        below(&random, 10000), below(&random, 100), below(&random, 256),
        below(&random, 256), below(&random, 256), below(&random, 256),
        1700000000 + below(&random, 60000000),
        below(&random, 8) > 0 ? "customer" : "admin",
        below(&random, 3) > 0 ? "reader" : "editor");

    memcpy(at, text, (size_t)used);
    at = put_words(at + used, &random, size - (size_t)used - 2);
    *at++ = '"';
    *at++ = '}';
    return at;
}
