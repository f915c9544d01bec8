/* SPDX-License-Identifier: MIT
 * Linked into every program of a sanitizer build: a report ends the process with SIGABRT, so no test can pass
 * over one, whatever environment the program was started with. The *_OPTIONS variables still add to these. */

/* Read by the sanitizers' run-time libraries, which declare them in no header that both compilers ship. */
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
    return "halt_on_error=1:abort_on_error=1:detect_leaks=1:detect_stack_use_after_return=1:"
           "strict_string_checks=1";
}

const char *__ubsan_default_options(void)
{
    return "halt_on_error=1:abort_on_error=1:print_stacktrace=1";
}

const char *__tsan_default_options(void)
{
    return "halt_on_error=1:abort_on_error=1:second_deadlock_stack=1";
}
