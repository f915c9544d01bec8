/* SPDX-License-Identifier: MIT */
#ifndef TESTS_HTTP_GATE_H
#define TESTS_HTTP_GATE_H

#include <pthread.h>
#include <stdbool.h>

/* Where handlers wait for the test. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int arrived;
    bool open;
};
void gate_init(struct gate *g);
void gate_pass(struct gate *g);         /* says that it has come, and waits until it is open */
void gate_await(struct gate *g, int n); /* waits for n to have come */
void gate_open(struct gate *g);

#endif
