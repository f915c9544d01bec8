/* SPDX-License-Identifier: MIT */
#include "http/secret.h"

#include "base/text.h"

static const char *expected_secret(const struct config *cfg, enum route_auth auth)
{
    if (auth == AUTH_USER_OR_SERVICE && cfg->credentials_service_secret)
        return cfg->credentials_service_secret;
    return cfg->rbac_sync_webhook_secret;
}

enum secret_outcome secret_check(const struct config *cfg, enum route_auth auth, const char *given)
{
    if (auth == AUTH_NONE || auth == AUTH_USER || auth == AUTH_USER_OR_PUBLIC || auth == AUTH_ADMIN)
        return SECRET_NOT_TAKEN;
    if (!given)
        return SECRET_ABSENT;
    const char *expected = expected_secret(cfg, auth);
    return expected && secret_equal(given, expected) ? SECRET_RIGHT : SECRET_WRONG;
}
