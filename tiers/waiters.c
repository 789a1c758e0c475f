/* Lists of requests that wait for the engine: see struct engine_waiter. */
#include "tiers/engine_internal.h"

void waiters_add(struct waiter_list *list, struct engine_waiter *waiter)
{
    waiter->queue = list;
    waiter->next = NULL;
    waiter->prev = list->last;
    if (list->last != NULL) {
        list->last->next = waiter;
    } else {
        list->first = waiter;
    }
    list->last = waiter;
    list->count++;
}

void waiters_remove(struct engine_waiter *waiter)
{
    struct waiter_list *list = waiter->queue;
    if (waiter->prev != NULL) {
        waiter->prev->next = waiter->next;
    } else {
        list->first = waiter->next;
    }
    if (waiter->next != NULL) {
        waiter->next->prev = waiter->prev;
    } else {
        list->last = waiter->prev;
    }
    list->count--;
    waiter->queue = NULL;
    waiter->next = waiter->prev = NULL;
}

/* Only those who wait now: a waiter that is called may wait again in the
 * same list, so the ready ones are taken off first. */
void waiters_run(
    struct waiter_list *list, uint64_t upto, enum dry_result result)
{
    struct waiter_list ready = {0};
    struct engine_waiter *waiter = list->first;
    while (waiter != NULL) {
        struct engine_waiter *next = waiter->next;
        if (waiter->after_id <= upto) {
            waiters_remove(waiter);
            waiters_add(&ready, waiter);
        }
        waiter = next;
    }
    while (ready.first != NULL) {
        waiter = ready.first;
        waiters_remove(waiter);
        waiter->on_ready(waiter, result);
    }
}

void engine_cancel(struct engine *engine, struct engine_waiter *waiter)
{
    (void)engine;
    if (waiter->queue != NULL) {
        waiters_remove(waiter);
    }
}
