/* Sizes and durations as people write them. Any thread. */
#ifndef LARDER_TIERS_UNIT_H
#define LARDER_TIERS_UNIT_H

#include "protocol/bytes.h"

/* Room for what the functions below write. */
#define UNIT_TEXT_BYTES 32

/* "10", "64kb", "2mb", "3gb" (1024 each; "k", "m", "g": 1000 each) in bytes.
 * False when it is no size below 2^62. */
bool unit_parse_bytes(const char *text, int64_t *bytes);
/* "500ms", "4s", "3m", "4h", "1d", or "0", in ms. False when it is none, or
 * longer than 100 years. */
bool unit_parse_duration(const char *text, int64_t *ms);
/* Digits only. */
bool unit_parse_count(const char *text, int64_t *count);
/* The same written with the largest unit that loses nothing. */
void unit_format_bytes(int64_t bytes, char *out);
void unit_format_duration(int64_t ms, char *out);

#endif
