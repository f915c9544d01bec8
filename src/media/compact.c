/* SPDX-License-Identifier: MIT */
/* PNG and WebP are rows of chunks with a name and a length; GIF is a row of blocks, of which the extensions
 * have lengths in small pieces. Kept is what is on the list; behind the end nothing is. */
#include "media/compact.h"

#include "base/text.h"

#include <string.h>

static bool begins(const uint8_t *data, size_t len, size_t at, const char *word)
{
    size_t n = strlen(word);
    return at <= len && n <= len - at && memcmp(data + at, word, n) == 0;
}

/* ---- PNG */

#define PNG_SIGNATURE "\x89PNG\r\n\x1a\n"
#define PNG_SIGNATURE_LEN 8
#define PNG_FRAME 12 /* length, name and checksum of a chunk */

static const char png_kept[] =
    "IHDR|PLTE|IDAT|IEND|tRNS|gAMA|cHRM|sRGB|iCCP|cICP|sBIT|bKGD|pHYs|acTL|fcTL|fdAT";

static size_t big_at(const uint8_t *at)
{
    return (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
}

static size_t compact_png(uint8_t *data, size_t len)
{
    size_t to = PNG_SIGNATURE_LEN;
    for (size_t from = PNG_SIGNATURE_LEN; len - from >= PNG_FRAME;) {
        size_t chunk = big_at(data + from);
        if (chunk > len - from - PNG_FRAME)
            return 0;
        chunk += PNG_FRAME;
        const char *name = (const char *)data + from + 4;
        bool last = memcmp(name, "IEND", 4) == 0;
        if (choices_have(png_kept, name, 4)) {
            memmove(data + to, data + from, chunk);
            to += chunk;
        }
        if (last)
            return to;
        from += chunk;
    }
    return 0;
}

/* ---- WebP */

#define RIFF_HEAD 12 /* "RIFF", length, "WEBP" */
#define RIFF_FRAME 8 /* name and length of a chunk; an odd one has a byte behind it */
#define VP8X_HAS_XMP 0x04
#define VP8X_HAS_EXIF 0x08

static const char webp_kept[] = "VP8 |VP8L|VP8X|ALPH|ANIM|ANMF|ICCP";

static size_t little_at(const uint8_t *at)
{
    return (size_t)at[3] << 24 | (size_t)at[2] << 16 | (size_t)at[1] << 8 | at[0];
}

static size_t compact_webp(uint8_t *data, size_t len)
{
    size_t riff = little_at(data + 4), to = RIFF_HEAD, from = RIFF_HEAD;
    if (riff > len - RIFF_FRAME || riff < RIFF_HEAD - RIFF_FRAME)
        return 0;
    size_t end = RIFF_FRAME + riff;
    while (end - from >= RIFF_FRAME) {
        size_t chunk = little_at(data + from + 4);
        if (chunk > end - from - RIFF_FRAME)
            return 0;
        chunk += RIFF_FRAME;
        chunk += chunk % 2 && chunk < end - from;
        if (choices_have(webp_kept, (const char *)data + from, 4)) {
            memmove(data + to, data + from, chunk);
            if (begins(data, end, to, "VP8X") && chunk > RIFF_FRAME)
                data[to + RIFF_FRAME] &= (uint8_t) ~(VP8X_HAS_XMP | VP8X_HAS_EXIF);
            to += chunk;
        }
        from += chunk;
    }
    for (int i = 0; i < 4; i++)
        data[4 + i] = (uint8_t)((to - RIFF_FRAME) >> 8 * i);
    return to > RIFF_HEAD ? to : 0;
}

/* ---- GIF */

#define GIF_HEAD 13 /* with the screen's descriptor */
#define GIF_IMAGE_HEAD 10
#define GIF_TABLE_FLAG 0x80

enum { GIF_EXTENSION = 0x21, GIF_IMAGE = 0x2c, GIF_END = 0x3b, GIF_CONTROL = 0xf9, GIF_APPLICATION = 0xff };

/* Bytes of the colour table that such flags promise. */
static size_t gif_table(uint8_t flags)
{
    return flags & GIF_TABLE_FLAG ? (size_t)3 << ((flags & 7) + 1) : 0;
}

/* Behind the pieces that begin at `at`; 0: they have no end. */
static size_t gif_pieces_end(const uint8_t *data, size_t len, size_t at)
{
    while (at < len && data[at] > 0)
        at += (size_t)data[at] + 1;
    return at < len ? at + 1 : 0;
}

static size_t gif_block_end(const uint8_t *data, size_t len, size_t at)
{
    if (data[at] == GIF_EXTENSION)
        return gif_pieces_end(data, len, at + 2);
    if (data[at] != GIF_IMAGE || len - at < GIF_IMAGE_HEAD)
        return 0;
    return gif_pieces_end(data, len, at + GIF_IMAGE_HEAD + gif_table(data[at + 9]) + 1);
}

/* Pictures, how long each is shown, how often all are, and the colour profile. */
static bool gif_is_kept(const uint8_t *data, size_t len, size_t at)
{
    if (data[at] == GIF_IMAGE)
        return true;
    return at + 1 < len && (data[at + 1] == GIF_CONTROL ||
                            (data[at + 1] == GIF_APPLICATION && (begins(data, len, at + 3, "NETSCAPE2.0") ||
                                                                 begins(data, len, at + 3, "ANIMEXTS1.0") ||
                                                                 begins(data, len, at + 3, "ICCRGBG1012"))));
}

static size_t compact_gif(uint8_t *data, size_t len)
{
    if (len < GIF_HEAD)
        return 0;
    size_t from = GIF_HEAD + gif_table(data[10]), to = from;
    while (from < len && data[from] != GIF_END) {
        size_t end = gif_block_end(data, len, from);
        if (end == 0)
            return 0;
        if (gif_is_kept(data, len, from)) {
            memmove(data + to, data + from, end - from);
            to += end - from;
        }
        from = end;
    }
    if (from > len)
        return 0;
    if (to < len) /* some have no end of their own */
        data[to++] = GIF_END;
    return to;
}

size_t media_compact(uint8_t *data, size_t len)
{
    if (begins(data, len, 0, PNG_SIGNATURE))
        return compact_png(data, len);
    if (len >= RIFF_HEAD && begins(data, len, 0, "RIFF") && begins(data, len, 8, "WEBP"))
        return compact_webp(data, len);
    if (begins(data, len, 0, "GIF87a") || begins(data, len, 0, "GIF89a"))
        return compact_gif(data, len);
    return 0;
}
