#include "server/coalesce.h"

/* Fewer reads than this are not worth a nap. */
#define MIN_COLLECTED 4
/* Part of the clients at work that may be left waiting by a nap. */
#define MAX_PART 4
#define PERIOD_READS 256
#define MIN_NAP_US 25
/* Naps that do not pay are tried again after so many turns at most. */
#define MAX_BACK_OFF 1024

void coalesce_init(struct coalesce *coalesce)
{
    *coalesce =
        (struct coalesce){.period = 1, .nap_us = MIN_NAP_US, .back_off = 1};
}

void coalesce_leave(
    struct coalesce *coalesce, const struct coalesce_client *client)
{
    if (client->period == coalesce->period) {
        coalesce->squares += 2 * coalesce->gone * client->reads;
        coalesce->gone += client->reads;
    }
}

static void begin_period(struct coalesce *coalesce)
{
    uint64_t reads = coalesce->reads - coalesce->period_start;
    coalesce->at_work = reads * reads / coalesce->squares;
    coalesce->period_start = coalesce->reads;
    coalesce->squares = 0;
    coalesce->gone = 0;
    coalesce->period++;
    if (coalesce->period == 0) {
        coalesce->period = 1; /* 0 is a client's that has sent nothing */
    }
}

static void back_off(struct coalesce *coalesce)
{
    coalesce->skip = coalesce->back_off;
    if (coalesce->back_off < MAX_BACK_OFF) {
        coalesce->back_off *= 2;
    }
}

/* Naps are made longer while they collect less than they may, and shorter when
 * they collect more. */
static void learn(struct coalesce *coalesce)
{
    uint64_t collected = coalesce->reads - coalesce->nap_start;
    uint64_t most = coalesce->at_work / MAX_PART;
    bool pays = collected >= MIN_COLLECTED;
    if (collected > most) {
        pays = pays && coalesce->nap_us > MIN_NAP_US;
        coalesce->nap_us /= 2;
    } else if (collected <= most - most / 4) {
        coalesce->nap_us += coalesce->nap_us / 4;
    }
    if (pays) {
        coalesce->back_off = 1;
    } else {
        back_off(coalesce);
    }
}

void coalesce_turn(struct coalesce *coalesce)
{
    if (coalesce->reads - coalesce->period_start >= PERIOD_READS) {
        begin_period(coalesce);
    }
    if (coalesce->napped) {
        coalesce->napped = false;
        learn(coalesce);
    }
}

uint32_t coalesce_nap_us(
    struct coalesce *coalesce, unsigned clients, uint32_t max_us)
{
    if (clients < coalesce->at_work) {
        coalesce->at_work = clients; /* the others have left */
    }
    if (coalesce->at_work < MAX_PART * MIN_COLLECTED) {
        return 0;
    }
    if (coalesce->skip > 0) {
        coalesce->skip--;
        return 0;
    }
    if (coalesce->nap_us > max_us) {
        coalesce->nap_us = max_us;
    }
    if (coalesce->nap_us < MIN_NAP_US) {
        coalesce->nap_us = MIN_NAP_US;
    }
    return coalesce->nap_us < max_us ? coalesce->nap_us : max_us;
}

void coalesce_nap(struct coalesce *coalesce)
{
    coalesce->napped = true;
    coalesce->nap_start = coalesce->reads;
}
