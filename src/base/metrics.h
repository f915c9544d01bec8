/* SPDX-License-Identifier: MIT */
/* What /metrics shows: one table of counters and gauges, changed without locks from any thread. */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include "base/buf.h"

#include <stdint.h>

/* X(id, name, labels, type, help) */
#define METRIC_TABLE(X) \
    X(METRIC_HTTP_2XX, "genie_http_responses_total", "class=\"2xx\"", "counter", \
      "Answers sent, by class of status") \
    X(METRIC_HTTP_3XX, "genie_http_responses_total", "class=\"3xx\"", "counter", "") \
    X(METRIC_HTTP_4XX, "genie_http_responses_total", "class=\"4xx\"", "counter", "") \
    X(METRIC_HTTP_5XX, "genie_http_responses_total", "class=\"5xx\"", "counter", "") \
    X(METRIC_HTTP_CONNECTIONS, "genie_http_connections", "", "gauge", "Open client connections") \
    X(METRIC_STREAMS_OPEN, "genie_chat_streams_open", "", "gauge", \
      "Answers being produced or kept for resuming") \
    X(METRIC_CHATS, "genie_chats_total", "", "counter", "Chat messages accepted") \
    X(METRIC_CHATS_ABORTED, "genie_chats_aborted_total", "", "counter", \
      "Answers that ended in an abort event") \
    X(METRIC_LLM_ACTIVE, "genie_llm_requests_active", "", "gauge", "Model requests running or queued") \
    X(METRIC_LLM_TOKENS, "genie_llm_completion_tokens_total", "", "counter", "Tokens that models produced") \
    X(METRIC_LLM_FAILED, "genie_llm_requests_failed_total", "", "counter", "Model requests that failed") \
    X(METRIC_FLOWS_RUN, "genie_flows_total", "", "counter", "Action flows run") \
    X(METRIC_FLOWS_FAILED, "genie_flows_failed_total", "", "counter", \
      "Action flows that failed or were missed") \
    X(METRIC_DB_COMMITS, "genie_db_commits_total", "", "counter", "Durable commits of the store") \
    X(METRIC_DB_WRITES, "genie_db_writes_total", "", "counter", "Write units carried by those commits") \
    X(METRIC_DB_FAILED, "genie_db_writes_failed_total", "", "counter", "Write units that were rolled back") \
    X(METRIC_LOGINS, "genie_logins_total", "", "counter", "Log-ins that succeeded") \
    X(METRIC_LOGINS_REFUSED, "genie_logins_refused_total", "", "counter", "Log-ins that were refused") \
    X(METRIC_REGISTRATIONS, "genie_registrations_total", "", "counter", "Accounts made by registration") \
    X(METRIC_QUOTA_REFUSED, "genie_quota_refused_total", "", "counter", "Uses that a plan's limits refused") \
    X(METRIC_IDENTITY_HITS, "genie_identity_cache_hits_total", "", "counter", \
      "Identities answered from memory") \
    X(METRIC_IDENTITY_MISSES, "genie_identity_cache_misses_total", "", "counter", \
      "Identities read from the store") \
    X(METRIC_JOBS_ADDED, "genie_jobs_added_total", "", "counter", "Jobs that were put into the queues here") \
    X(METRIC_JOBS_CLAIMED, "genie_jobs_claimed_total", "", "counter", \
      "Attempts at jobs that were begun here") \
    X(METRIC_JOBS_WAITING, "genie_jobs", "state=\"waiting\"", "gauge", \
      "Jobs in the queues that haven't ended, as a server with a worker last saw them") \
    X(METRIC_JOBS_DELAYED, "genie_jobs", "state=\"delayed\"", "gauge", "") \
    X(METRIC_JOBS_ACTIVE, "genie_jobs", "state=\"active\"", "gauge", "") \
    X(METRIC_JOBS_RUNNING, "genie_jobs_running", "", "gauge", "Jobs that run here") \
    X(METRIC_JOBS_COMPLETED, "genie_jobs_ended_total", "how=\"completed\"", "counter", \
      "Ends of jobs' attempts that were settled here, by how they ended") \
    X(METRIC_JOBS_FAILED, "genie_jobs_ended_total", "how=\"failed\"", "counter", "") \
    X(METRIC_JOBS_CANCELLED, "genie_jobs_ended_total", "how=\"cancelled\"", "counter", "") \
    X(METRIC_JOBS_RETRIED, "genie_jobs_ended_total", "how=\"retried\"", "counter", "") \
    X(METRIC_JOBS_RETURNED, "genie_jobs_ended_total", "how=\"returned\"", "counter", "") \
    X(METRIC_JOBS_STALLED, "genie_jobs_stalled_total", "", "counter", \
      "Jobs whose worker died, found and taken back here") \
    X(METRIC_JOBS_LOST, "genie_jobs_lost_total", "", "counter", \
      "Attempts whose lease was lost, so that nothing of them counts") \
    X(METRIC_LEADER, "genie_leader", "", "gauge", "1 while this server does the periodic duties") \
    X(METRIC_DUTIES, "genie_duties_total", "", "counter", "Runs of periodic duties that were done") \
    X(METRIC_DUTIES_FAILED, "genie_duties_failed_total", "", "counter", \
      "Runs of periodic duties that failed and were tried again")

enum metric {
#define X(id, name, labels, type, help) id,
    METRIC_TABLE(X)
#undef X
        METRIC_COUNT
};

void metric_add(enum metric m, int64_t n);
int64_t metric_get(enum metric m);

/* Appends all of them in Prometheus's text format. */
int metrics_write(struct buf *b);

#endif
