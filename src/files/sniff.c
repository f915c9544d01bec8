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

static const struct signature brands[] = {
    SIGNATURE(8, "avif", "image/avif"), SIGNATURE(8, "avis", "image/avif"),
    SIGNATURE(8, "heic", "image/heic"), SIGNATURE(8, "heix", "image/heic"),
    SIGNATURE(8, "hevc", "image/heic"), SIGNATURE(8, "mif1", "image/heic"),
    SIGNATURE(8, "msf1", "image/heic"), SIGNATURE(8, "qt  ", "video/quicktime"),
    SIGNATURE(8, "M4A ", "audio/mp4"),  SIGNATURE(8, "isom", "video/mp4"),
    SIGNATURE(8, "iso2", "video/mp4"),  SIGNATURE(8, "iso4", "video/mp4"),
    SIGNATURE(8, "iso5", "video/mp4"),  SIGNATURE(8, "iso6", "video/mp4"),
    SIGNATURE(8, "mp41", "video/mp4"),  SIGNATURE(8, "mp42", "video/mp4"),
    SIGNATURE(8, "avc1", "video/mp4"),  SIGNATURE(8, "dash", "video/mp4"),
    SIGNATURE(8, "M4V ", "video/mp4"),  SIGNATURE(8, "MSNV", "video/mp4"),
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

/* A "mif1" file says only in its compatible brands which picture it is. */
static const char *iso_media(const uint8_t *data, size_t len)
{
    uint32_t box = (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
    size_t end = box < len ? box : len;
    if (begins(data, len, 8, "mif1") || begins(data, len, 8, "msf1"))
        for (size_t at = 16; at + 4 <= end; at += 4)
            if (begins(data, len, at, "avif"))
                return "image/avif";
    return look_up(brands, ARRAY_LEN(brands), data, len);
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
                                "audio/wav|audio/mp4|video/mp4|video/quicktime|video/webm|video/x-matroska";
    return choices_have(shown, type, strlen(type));
}
