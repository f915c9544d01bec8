/* SPDX-License-Identifier: MIT */
/* A table of signatures, and three formats that need a second look: ISO media files by their brand, RIFF by
 * its form, EBML by its document type. */
#include "files/sniff.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <string.h>

#define TEXT_TYPE "text/plain"
#define ANY_TYPE "application/octet-stream"

struct signature {
    size_t at;
    const char *bytes;
    size_t len;
    const char *type;
};

#define SIGNATURE(at_, bytes_, type_) \
    { \
        .at = (at_), .bytes = (bytes_), .len = sizeof(bytes_) - 1, .type = (type_) \
    }

static const struct signature signatures[] = {
    SIGNATURE(0, "\x89PNG\r\n\x1a\n", "image/png"),
    SIGNATURE(0, "\xff\xd8\xff", "image/jpeg"),
    SIGNATURE(0, "GIF87a", "image/gif"),
    SIGNATURE(0, "GIF89a", "image/gif"),
    SIGNATURE(0, "%PDF-", "application/pdf"),
    SIGNATURE(0, "PK\x03\x04", "application/zip"),
    SIGNATURE(0, "PK\x05\x06", "application/zip"), /* an empty one */
    SIGNATURE(0, "ID3", "audio/mpeg"),
};

static const struct signature riff_forms[] = {
    SIGNATURE(8, "WEBP", "image/webp"),
    SIGNATURE(8, "WAVE", "audio/wav"),
};

/* A brand with a longer name stands before the beginning that others share with it. */
static const struct signature brands[] = {
    SIGNATURE(8, "avif", "image/avif"),
    SIGNATURE(8, "avis", "image/avif"),
    SIGNATURE(8, "hei", "image/heic"), /* heic, heix, heim, heis */
    SIGNATURE(8, "hev", "image/heic"), /* hevc, hevx, hevm, hevs */
    SIGNATURE(8, "mif1", "image/heic"),
    SIGNATURE(8, "msf1", "image/heic"),
    SIGNATURE(8, "qt  ", "video/quicktime"),
    SIGNATURE(8, "M4A ", "audio/mp4"),
    SIGNATURE(8, "M4B ", "audio/mp4"),
    SIGNATURE(8, "M4P ", "audio/mp4"),
    SIGNATURE(8, "F4A ", "audio/mp4"),
    SIGNATURE(8, "F4B ", "audio/mp4"),
    SIGNATURE(8, "3g2", "video/3gpp2"),
    SIGNATURE(8, "3g", "video/3gpp"),
    SIGNATURE(8, "iso", "video/mp4"), /* isom, iso2 to iso9, isoa … */
    SIGNATURE(8, "mp4", "video/mp4"),
    SIGNATURE(8, "avc", "video/mp4"),
    SIGNATURE(8, "XAVC", "video/mp4"),
    SIGNATURE(8, "MSNV", "video/mp4"),
    SIGNATURE(8, "M4V", "video/mp4"),
    SIGNATURE(8, "F4V ", "video/mp4"),
    SIGNATURE(8, "f4v", "video/mp4"),
    SIGNATURE(8, "dash", "video/mp4"),
    SIGNATURE(8, "msdh", "video/mp4"),
    SIGNATURE(8, "cmf", "video/mp4"),
    SIGNATURE(8, "crx ", ANY_TYPE), /* a camera's raw picture, which says that it is an isom as well */
    SIGNATURE(8, "jp", ANY_TYPE),   /* JPEG 2000 */
    SIGNATURE(8, "mj", ANY_TYPE),
};

/* QuickTime of before there were brands, as some cameras still write it. */
static const struct signature old_quicktime[] = {
    SIGNATURE(0, "\0\0\0\x08wide", "video/quicktime"),
    SIGNATURE(4, "mdat", "video/quicktime"),
    SIGNATURE(4, "moov", "video/quicktime"),
};

static const char *look_up(const struct signature *table, size_t n, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < n; i++)
        if (table[i].at + table[i].len <= len &&
            memcmp(data + table[i].at, table[i].bytes, table[i].len) == 0)
            return table[i].type;
    return NULL;
}

static bool begins(const uint8_t *data, size_t len, size_t at, const char *word)
{
    size_t n = strlen(word);
    return at + n <= len && memcmp(data + at, word, n) == 0;
}

/* What a brand says that stands at `at`; NULL: it isn't known. */
static const char *brand_at(const uint8_t *data, size_t len, size_t at)
{
    uint8_t box[12] = {0};
    if (at + 4 > len)
        return NULL;
    memcpy(box + 8, data + at, 4);
    return look_up(brands, ARRAY_LEN(brands), box, sizeof box);
}

/* A "mif1" file says only in its compatible brands which picture it is, and one of a maker's own brand what
 * it is at all. */
static const char *iso_media(const uint8_t *data, size_t len)
{
    uint32_t box = (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
    size_t end = box < len ? box : len;
    bool picture = begins(data, len, 8, "mif1") || begins(data, len, 8, "msf1");
    const char *type = brand_at(data, len, 8);
    for (size_t at = 16; at + 4 <= end && (picture || !type); at += 4) {
        if (picture && begins(data, len, at, "avif"))
            return "image/avif";
        if (!type)
            type = brand_at(data, len, at);
    }
    return type;
}

/* The document type stands near the beginning, as element 0x4282 with a size of one byte. */
static const char *ebml(const uint8_t *data, size_t len)
{
    for (size_t at = 4; at + 3 < len; at++)
        if (data[at] == 0x42 && data[at + 1] == 0x82) {
            if (begins(data, len, at + 3, "webm"))
                return "video/webm";
            return begins(data, len, at + 3, "matroska") ? "video/x-matroska" : NULL;
        }
    return NULL;
}

/* An MPEG audio frame of layer III: its synchronisation, a bit rate and a sampling rate that exist. */
static bool is_mp3_frame(const uint8_t *data, size_t len)
{
    return len >= 4 && data[0] == 0xff && (data[1] & 0xe6) == 0xe2 && (data[1] & 0x18) != 0x08 &&
           (data[2] & 0xf0) != 0xf0 && (data[2] & 0xf0) != 0 && (data[2] & 0x0c) != 0x0c;
}

/* UTF-8 without control characters; what was cut off at the end may lack its last bytes. */
static bool is_text(const uint8_t *data, size_t len, bool whole)
{
    for (size_t i = 0; i < len; i++)
        if ((data[i] < 0x20 && !strchr("\t\n\f\r\x1b", data[i])) || data[i] == 0 || data[i] == 0x7f)
            return false;
    const char *text = (const char *)data;
    return utf8_valid(text, whole ? len : len - utf8_incomplete_tail(text, len));
}

const char *sniff_type(const uint8_t *data, size_t len, bool whole)
{
    if (len > SNIFF_BYTES) {
        len = SNIFF_BYTES;
        whole = false;
    }
    const char *type = look_up(signatures, ARRAY_LEN(signatures), data, len);
    if (!type && begins(data, len, 0, "RIFF"))
        type = look_up(riff_forms, ARRAY_LEN(riff_forms), data, len);
    if (!type && begins(data, len, 4, "ftyp"))
        type = iso_media(data, len);
    if (!type && len > 0 && data[0] < ' ') /* the size of a box, no letter */
        type = look_up(old_quicktime, ARRAY_LEN(old_quicktime), data, len);
    if (!type && begins(data, len, 0, "\x1a\x45\xdf\xa3"))
        type = ebml(data, len);
    if (!type && is_mp3_frame(data, len))
        type = "audio/mpeg";
    if (!type && len > 0 && is_text(data, len, whole))
        type = TEXT_TYPE;
    return type ? type : ANY_TYPE;
}

bool sniff_is_inline(const char *type)
{
    static const char shown[] = "image/png|image/jpeg|image/gif|image/webp|image/avif|image/heic|audio/mpeg|"
                                "audio/wav|audio/mp4|video/mp4|video/quicktime|video/3gpp|video/3gpp2|"
                                "video/webm|video/x-matroska";
    return choices_have(shown, type, strlen(type));
}
