/* SPDX-License-Identifier: MIT */
/* The programs that media operations run. Without one of them its operations fail; everything else works. */
#include "ops/checks.h"

#include "base/clock.h"
#include "base/buf.h"
#include "base/text.h"
#include "proc/process.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define OUTPUT_MAX (64 * 1024)
#define YTDLP_OLD_DAYS 120

static void keep_output(void *ctx, enum process_stream from, const char *data, size_t len)
{
    if (from == PROCESS_STDOUT)
        (void)buf_add(ctx, data, len);
}

/* The first line that a program prints, without its end: "" where it is not well (then the finding says so).
 */
static void first_line(const char *const *argv, const char *package, struct finding *f, char *ret,
                       size_t size)
{
    _cleanup_buf_ struct buf out = BUF_INIT(OUTPUT_MAX);
    struct process_spec spec = {
        .argv = argv, .limit_ms = CHECK_ANSWER_MS, .output = keep_output, .ctx = &out};
    struct process_end end = {0};
    int r = process_run(&spec, &end);
    const char *text = buf_str(&out);
    ret[0] = '\0';
    if (r == 0 && end.how == PROCESS_EXITED && end.code == 0 && text && text[0]) {
        (void)snprintf(ret, size, "%.*s", (int)strcspn(text, "\r\n"), text);
        return;
    }
    if (r == -ENOENT)
        (void)found(f, CHECK_WARN, "%s isn't installed; media operations that need it fail", argv[0]);
    else if (r < 0)
        (void)found(f, CHECK_WARN, "%s can't be run: %s", argv[0], strerror(-r));
    else if (end.how == PROCESS_TIMED_OUT)
        (void)found(f, CHECK_WARN, "%s doesn't answer", argv[0]);
    else
        (void)found(f, CHECK_WARN, "%s doesn't tell its version (exit %d)", argv[0], end.code);
    (void)mend(f, "apt-get install %s", package);
}

static bool check_version(const char *const *argv, const char *package, struct finding *f)
{
    char line[120];
    first_line(argv, package, f, line, sizeof line);
    return line[0] ? found(f, CHECK_OK, "%s", line) : true;
}

bool check_ffmpeg(const struct checkup *c, struct finding *f)
{
    (void)c;
    return check_version((const char *const[]){"ffmpeg", "-hide_banner", "-version", NULL}, "ffmpeg", f);
}

bool check_ffprobe(const struct checkup *c, struct finding *f)
{
    (void)c;
    return check_version((const char *const[]){"ffprobe", "-hide_banner", "-version", NULL}, "ffmpeg", f);
}

bool check_convert(const struct checkup *c, struct finding *f)
{
    (void)c;
    return check_version((const char *const[]){"convert", "-version", NULL}, "imagemagick", f);
}

bool check_exiftool(const struct checkup *c, struct finding *f)
{
    (void)c;
    return check_version((const char *const[]){"exiftool", "-ver", NULL}, "libimage-exiftool-perl", f);
}

/* Sites change all the time, so a version is its date: "2026.01.31", perhaps with more after it. -1: it isn't
 * one. */
static int64_t age_in_days(const char *version)
{
    char iso[16];
    int64_t made;
    if (strlen(version) < 10 || version[4] != '.' || version[7] != '.')
        return -1;
    (void)snprintf(iso, sizeof iso, "%.4s-%.2s-%.2s", version, version + 5, version + 8);
    return clock_parse_iso(iso, &made) == 0 ? (clock_now_ms() - made) / (24 * 3600 * 1000) : -1;
}

bool check_ytdlp(const struct checkup *c, struct finding *f)
{
    char line[120];
    const char *named = checkup_setting(c, "YTDLP_BIN");
    first_line((const char *const[]){named ? named : "yt-dlp", "--version", NULL}, "yt-dlp", f, line,
               sizeof line);
    if (!line[0])
        return true;
    int64_t days = age_in_days(line);
    if (days <= YTDLP_OLD_DAYS)
        return found(f, CHECK_OK, "%s", line);
    (void)found(f, CHECK_WARN, "%s is %lld days old; sites change faster than that", line, (long long)days);
    return mend(f, "install a newer one beside Debian's, and name it in YTDLP_BIN");
}
