/* SPDX-License-Identifier: MIT */
/* Every error a client can be told, in one table: name, HTTP status, `code` on the wire, public sentence.
 * The sentence may be replaced by a more precise one at the place of the error; the code and status may not.
 * docs/errors.md is printed from this table. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#define ERROR_TABLE(X) \
    X(ERR_BAD_REQUEST, 400, "bad_request", "The request can be read in more than one way") \
    X(ERR_MALFORMED_JSON, 400, "malformed_json", "The request body is not valid JSON") \
    X(ERR_MALFORMED_UPLOAD, 400, "malformed_upload", \
      "The request body is not well-formed multipart/form-data") \
    X(ERR_MISSING_FIELD, 400, "missing_field", "Missing required fields") \
    X(ERR_INVALID_FIELD, 400, "invalid_field", "A field has an invalid value") \
    X(ERR_INVALID_QUERY, 400, "invalid_query", "A query parameter has an invalid value") \
    X(ERR_URL_REFUSED, 400, "url_not_allowed", "The address must be a public one, http or https") \
    X(ERR_EMPTY_MESSAGE, 400, "empty_message", "The message is empty") \
    X(ERR_ATTACHMENT_UNSUPPORTED, 400, "attachment_unsupported", \
      "The model can't read an attachment of this kind") \
    X(ERR_FIELD_NOT_ALLOWED, 400, "field_not_allowed", "This field can't be changed here") \
    X(ERR_INVALID_IDEMPOTENCY_KEY, 400, "invalid_idempotency_key", \
      "Idempotency-Key must be 1 to 128 visible ASCII characters") \
    X(ERR_UNKNOWN_OPERATION, 400, "unknown_operation", "There is no such operation to count") \
    X(ERR_INVALID_INVITE, 400, "invalid_invite", "Invalid invite code") \
    X(ERR_INVALID_ARCHIVE, 400, "invalid_archive", "The file is not a ZIP archive that is taken here") \
    X(ERR_UNAUTHORIZED, 401, "unauthorized", "Invalid or expired token") \
    X(ERR_TOKEN_EXPIRED, 401, "token_expired", "Invalid or expired token") \
    X(ERR_FORBIDDEN, 403, "forbidden", "You don't have permission to do this") \
    X(ERR_READ_ONLY, 403, "read_only", "This account may only read") \
    X(ERR_SUSPENDED, 403, "suspended", "This account is suspended") \
    X(ERR_TIER_LIMIT, 403, "tier_limit_reached", "You have reached a limit of your plan") \
    X(ERR_NOT_FOUND, 404, "not_found", "Not found") \
    X(ERR_METHOD_NOT_ALLOWED, 405, "method_not_allowed", "This method is not allowed here") \
    X(ERR_REQUEST_TIMEOUT, 408, "request_timeout", "The request did not arrive in time") \
    X(ERR_CONFLICT, 409, "conflict", "The request conflicts with the present state") \
    X(ERR_EMAIL_EXISTS, 409, "email_exists", "Email already exists") \
    X(ERR_ILLEGAL_TRANSITION, 409, "illegal_transition", "Onboarding can't go from its state to this one") \
    X(ERR_ONBOARDING_RUNNING, 409, "onboarding_in_progress", "An export is being processed already") \
    X(ERR_JOB_QUEUED, 409, "job_already_queued", "This job is queued, in work or done already") \
    X(ERR_JOB_NOT_FAILED, 409, "job_not_failed", "Only a job that has failed can be tried again") \
    X(ERR_JOB_ENDED, 409, "job_ended", "This job has ended already") \
    X(ERR_GOOSE_BUSY, 409, "goose_busy", "As many runs of Goose as may are running already") \
    X(ERR_IDEMPOTENCY_IN_PROGRESS, 409, "idempotency_in_progress", \
      "A request with this Idempotency-Key is still being worked on") \
    X(ERR_IDEMPOTENCY_NOT_KEPT, 409, "idempotency_not_kept", \
      "This request was carried out before; its answer was too large to be kept") \
    X(ERR_TOO_LARGE, 413, "body_too_large", "The request body is too large") \
    X(ERR_STORAGE_LIMIT, 413, "storage_limit_reached", \
      "The files of this account fill the room that it has: delete some first") \
    X(ERR_UNSUPPORTED_TYPE, 415, "unsupported_media_type", "The body must be JSON") \
    X(ERR_RANGE_NOT_SATISFIABLE, 416, "range_not_satisfiable", "The file has no such bytes") \
    X(ERR_IDEMPOTENCY_MISMATCH, 422, "idempotency_mismatch", \
      "This Idempotency-Key was used for another request") \
    X(ERR_HEADERS_TOO_LARGE, 431, "headers_too_large", "The request's headers are too large") \
    X(ERR_RATE_LIMITED, 429, "rate_limited", "Too many requests, try again later") \
    X(ERR_INTERNAL, 500, "internal_error", "Something went wrong on our side") \
    X(ERR_MISCONFIGURED, 500, "server_misconfiguration", "Server misconfiguration") \
    X(ERR_DECRYPT_FAILED, 500, "decrypt_failed", "The credentials can't be decrypted") \
    X(ERR_UPSTREAM_FAILED, 502, "upstream_failed", "The language model could not be reached or failed") \
    X(ERR_GOOSE_FAILED, 502, "goose_failed", "Goose failed, or gave an answer that isn't understood") \
    X(ERR_GOOSE_UNAVAILABLE, 503, "goose_unavailable", "The Goose program is not installed on the server") \
    X(ERR_DIRECTUS_FAILED, 502, "directus_failed", "Directus could not be reached or failed") \
    X(ERR_WORKSPACE_MISSING, 503, "workspace_missing", \
      "The account setup is incomplete: it has no workspace") \
    X(ERR_STORE_UNAVAILABLE, 503, "store_unavailable", "The data store is unavailable, try again shortly") \
    X(ERR_QUEUE_UNAVAILABLE, 503, "queue_unavailable", \
      "The job queue can't be reached, try again shortly; nothing was queued") \
    X(ERR_QUEUE_UNCONFIRMED, 503, "queue_unconfirmed", \
      "The job is kept and will be queued as soon as the queue can be reached; asking again is safe") \
    X(ERR_STORAGE_FULL, 503, "storage_full", "There is no room left for files") \
    X(ERR_MODEL_BUSY, 503, "model_busy", "The language model is busy, try again shortly") \
    X(ERR_MODEL_UNAVAILABLE, 503, "model_unavailable", \
      "No language model is connected, so nothing can be written") \
    X(ERR_OVERLOADED, 503, "overloaded", "The server is overloaded, try again shortly") \
    X(ERR_UPSTREAM_TIMEOUT, 504, "upstream_timeout", "The language model did not answer in time") \
    X(ERR_DIRECTUS_TIMEOUT, 504, "directus_timeout", "Directus did not answer in time")

enum error_id {
    ERR_NONE = 0,
#define X(name, status, code, sentence) name,
    ERROR_TABLE(X)
#undef X
        ERROR_COUNT
};

struct error_info {
    int status;
    const char *code;
    const char *sentence;
};

/* The row of an error. Never NULL for a member of the enum. Thread-safe. */
const struct error_info *error_info(enum error_id id);

#endif
