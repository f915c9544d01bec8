/* SPDX-License-Identifier: MIT */
#include "agent/gate.h"

static const char *const guidance[] = {
    [ONBOARDING_EXTENSION] =
        "Welcome! Before we can talk about your work, install the GenieHelper browser extension and sign "
        "in with this account. As soon as it is connected, I'll guide you through the next step.",
    [ONBOARDING_DATA] =
        "The extension is connected. Next, export your data from your platform and upload the archive under "
        "Onboarding. I'll learn from it, and then we can talk.",
    [ONBOARDING_PROCESSING] = NULL,
    [ONBOARDING_COMPLETE] = NULL,
};

bool gate_is_admin(const struct identity *who)
{
    return who->admin && !who->impersonated_by;
}

const char *gate_guidance(enum onboarding_state state, const struct identity *who)
{
    return gate_is_admin(who) ? NULL : guidance[state];
}
