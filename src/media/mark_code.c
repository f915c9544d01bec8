/* SPDX-License-Identifier: MIT */
/* The picture is cut into the blocks of 8 x 8 pixels that JPEG cuts it into. In each, six coefficients of the
 * cosine transform of the brightness carry a bit each, by quantisation (QIM): a coefficient is moved to the
 * nearest multiple of a step for 0, to the nearest one and a half for 1. The step is several times what JPEG
 * at quality 80 rounds these coefficients to, so its rounding moves none over the border.
 *
 * The bits are a message of fixed length with a checksum, under a convolutional code (rate 1/2, 64 states),
 * over and over through the whole picture. Reading adds up how clearly each repetition says 0 or 1, and takes
 * the likeliest message (Viterbi); the checksum says whether there is one. */
#include "media/mark_code.h"

#include "base/cleanup.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#define SIDE 8
#define BLOCK (SIDE * SIDE)
#define CARRIERS 6
#define CHANNELS 4

#define CRC_BYTES 4
#define FRAME_BYTES (1 + MARK_MESSAGE_MAX + CRC_BYTES)
#define FRAME_BITS (8 * FRAME_BYTES)
#define MEMORY 6 /* of the code: its states are 2^6 */
#define STATES (1 << MEMORY)
#define STEPS (FRAME_BITS + MEMORY) /* zeros at the end lead back to state 0 */
#define CODED_BITS (2 * STEPS)

#define ROUNDS 8
#define NEAR_ENOUGH 0.5F /* of a coefficient: less than rounding to whole colours does */
#define SHIFT_MOST 16.0F /* by which a block may get darker or brighter to make room */
#define FLAT 1.0F        /* what coefficients of an even colour don't reach */

_Static_assert(MARK_BLOCKS_MIN *CARRIERS >= 2 * CODED_BITS, "every bit is there twice");

/* Low enough for JPEG to keep them, not so low that they are seen as shades. */
static const uint8_t carriers[CARRIERS][2] = {{0, 2}, {1, 1}, {2, 0}, {1, 2}, {2, 1}, {2, 2}};

static float step_of(int strength)
{
    return (float)(8 + 8 * strength);
}

/* ---- the frame */

static uint32_t crc32_of(const uint8_t *data, size_t len)
{
    uint32_t crc = ~0U;
    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320U : 0);
    }
    return ~crc;
}

/* So that a short message isn't a long row of zeros. Its own inverse. */
static void whiten(uint8_t *frame)
{
    uint32_t x = 0x9e3779b9U;
    for (size_t i = 0; i < FRAME_BYTES; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        frame[i] ^= (uint8_t)x;
    }
}

static void put_crc(uint8_t *frame, uint32_t crc)
{
    for (int i = 0; i < CRC_BYTES; i++)
        frame[1 + MARK_MESSAGE_MAX + i] = (uint8_t)(crc >> 8 * i);
}

static void make_frame(const uint8_t *message, size_t len, uint8_t *ret)
{
    memset(ret, 0, FRAME_BYTES);
    ret[0] = (uint8_t)len;
    memcpy(ret + 1, message, len);
    put_crc(ret, crc32_of(ret, 1 + MARK_MESSAGE_MAX));
    whiten(ret);
}

static int read_frame(uint8_t *frame, uint8_t *ret)
{
    uint8_t again[FRAME_BYTES];
    whiten(frame);
    memcpy(again, frame, FRAME_BYTES);
    put_crc(again, crc32_of(frame, 1 + MARK_MESSAGE_MAX));
    if (memcmp(again, frame, FRAME_BYTES) != 0 || frame[0] < 1 || frame[0] > MARK_MESSAGE_MAX)
        return -ENOENT;
    memcpy(ret, frame + 1, frame[0]);
    return frame[0];
}

/* ---- the code */

static unsigned parity(unsigned x)
{
    return (unsigned)__builtin_popcount(x) & 1;
}

/* What the encoder puts out on a bit: two bits. */
static unsigned output_of(unsigned state, unsigned bit)
{
    unsigned window = bit << MEMORY | state;
    return parity(window & 0171) << 1 | parity(window & 0133);
}

static unsigned next_of(unsigned state, unsigned bit)
{
    return (bit << MEMORY | state) >> 1;
}

static void encode(const uint8_t *frame, uint8_t *ret_bits)
{
    unsigned state = 0;
    for (size_t i = 0; i < STEPS; i++) {
        unsigned bit = i < FRAME_BITS ? frame[i / 8] >> (7 - i % 8) & 1U : 0;
        unsigned out = output_of(state, bit);
        ret_bits[2 * i] = (uint8_t)(out >> 1);
        ret_bits[2 * i + 1] = out & 1;
        state = next_of(state, bit);
    }
}

struct trellis {
    uint8_t from[STATES][2]; /* the two states before each */
    uint8_t out[STATES][2];  /* and what is put out on the way */
};

static void make_trellis(struct trellis *ret)
{
    for (unsigned s = 0; s < STATES; s++)
        for (unsigned bit = 0; bit < 2; bit++) {
            unsigned to = next_of(s, bit);
            ret->from[to][s & 1] = (uint8_t)s; /* the bit that is dropped tells the two apart */
            ret->out[to][s & 1] = (uint8_t)output_of(s, bit);
        }
}

/* One step of all paths: the better way into each state, and where it came from. */
static void step_paths(const struct trellis *t, const float *says, const float *score, float *ret_score,
                       uint8_t *ret_from)
{
    float sums[4] = {says[0] + says[1], says[0] - says[1], says[1] - says[0], -says[0] - says[1]};
    for (unsigned to = 0; to < STATES; to++) {
        float even = score[t->from[to][0]] + sums[t->out[to][0]];
        float odd = score[t->from[to][1]] + sums[t->out[to][1]];
        ret_score[to] = odd > even ? odd : even;
        ret_from[to] = t->from[to][odd > even];
    }
}

/* says: for each coded bit, how clearly it is 0 (above zero) or 1 (below). */
static void decode(const struct trellis *t, const float *says, uint8_t *ret_frame)
{
    uint8_t from[STEPS][STATES];
    float score[2][STATES];
    for (unsigned s = 0; s < STATES; s++)
        score[0][s] = s == 0 ? 0 : -INFINITY;
    for (size_t i = 0; i < STEPS; i++)
        step_paths(t, says + 2 * i, score[i & 1], score[(i + 1) & 1], from[i]);
    memset(ret_frame, 0, FRAME_BYTES);
    unsigned state = 0;
    for (size_t i = STEPS; i-- > 0;) {
        if (i < FRAME_BITS && state >> (MEMORY - 1))
            ret_frame[i / 8] |= (uint8_t)(1U << (7 - i % 8));
        state = from[i][state];
    }
}

/* ---- blocks */

struct basis {
    float wave[CARRIERS][BLOCK]; /* orthonormal */
};

static void make_basis(struct basis *ret)
{
    for (int c = 0; c < CARRIERS; c++)
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++) {
                double down = carriers[c][0], right = carriers[c][1];
                double scale = (down == 0 ? sqrt(1.0 / SIDE) : 0.5) * (right == 0 ? sqrt(1.0 / SIDE) : 0.5);
                ret->wave[c][y * SIDE + x] = (float)(scale * cos((2 * y + 1) * down * M_PI / 16) *
                                                     cos((2 * x + 1) * right * M_PI / 16));
            }
}

/* The n-th whole block's first pixel. */
static uint8_t *block_at(const struct mark_picture *p, int64_t n)
{
    int64_t across = p->width / SIDE;
    return p->pixels + ((n / across) * SIDE * p->width + (n % across) * SIDE) * CHANNELS;
}

static int64_t count_blocks(const struct mark_picture *p)
{
    return (p->width / SIDE) * (p->height / SIDE);
}

static uint8_t *pixel_of(const struct mark_picture *p, uint8_t *block, int i)
{
    return block + ((i / SIDE) * p->width + i % SIDE) * CHANNELS;
}

static void read_brightness(const struct mark_picture *p, uint8_t *block, float *ret)
{
    for (int i = 0; i < BLOCK; i++) {
        const uint8_t *px = pixel_of(p, block, i);
        ret[i] = 0.299F * (float)px[0] + 0.587F * (float)px[1] + 0.114F * (float)px[2];
    }
}

static float coefficient(const float *brightness, const float *wave)
{
    float sum = 0;
    for (int i = 0; i < BLOCK; i++)
        sum += brightness[i] * wave[i];
    return sum;
}

/* Which coded bit a coefficient carries. Each round begins one further, so that no bit always has the same
 * place in its block. */
static size_t bit_of(int64_t block, int carrier)
{
    uint64_t n = (uint64_t)block * CARRIERS + (uint64_t)carrier;
    return (size_t)((n + n / CODED_BITS) % CODED_BITS);
}

/* ---- hiding */

static float nearest(float coefficient, float step, unsigned bit)
{
    float offset = bit ? step / 2 : 0;
    return roundf((coefficient - offset) / step) * step + offset;
}

/* A block as it changes: colours between the whole numbers that they become at the end. */
struct block {
    float colour[BLOCK][3];
};

static void load_block(const struct mark_picture *p, uint8_t *from, struct block *b)
{
    for (int i = 0; i < BLOCK; i++)
        for (int c = 0; c < 3; c++)
            b->colour[i][c] = (float)pixel_of(p, from, i)[c];
}

static void store_block(const struct mark_picture *p, uint8_t *to, const struct block *b)
{
    for (int i = 0; i < BLOCK; i++)
        for (int c = 0; c < 3; c++)
            pixel_of(p, to, i)[c] = (uint8_t)(b->colour[i][c] + 0.5F);
}

/* What the block's brightness lacks to say its bits; the most that a coefficient lacks. */
static float find_change(const struct block *b, const struct basis *basis, const float *wanted, float *ret)
{
    float brightness[BLOCK], most = 0;
    for (int i = 0; i < BLOCK; i++) {
        brightness[i] = 0.299F * b->colour[i][0] + 0.587F * b->colour[i][1] + 0.114F * b->colour[i][2];
        ret[i] = 0;
    }
    for (int c = 0; c < CARRIERS; c++) {
        float by = wanted[c] - coefficient(brightness, basis->wave[c]);
        most = fabsf(by) > most ? fabsf(by) : most;
        for (int i = 0; i < BLOCK; i++)
            ret[i] += by * basis->wave[c][i];
    }
    return most;
}

/* By how much the whole block has to get brighter or darker, so that what changes doesn't pass white or
 * black. */
static float make_room(const struct block *b, const float *change)
{
    float over = 0, under = 0;
    for (int i = 0; i < BLOCK; i++)
        for (int c = 0; c < 3; c++) {
            float to = b->colour[i][c] + change[i];
            over = to - 255 > over ? to - 255 : over;
            under = -to > under ? -to : under;
        }
    float shift = over > 0 && under > 0 ? 0 : under - over;
    return shift > SHIFT_MOST ? SHIFT_MOST : shift < -SHIFT_MOST ? -SHIFT_MOST : shift;
}

static void apply_change(struct block *b, const float *change, float shift)
{
    for (int i = 0; i < BLOCK; i++)
        for (int c = 0; c < 3; c++) {
            float to = b->colour[i][c] + change[i] + shift;
            b->colour[i][c] = to < 0 ? 0 : to > 255 ? 255 : to;
        }
}

/* A pure colour can take only a part of each change (the others of its channels are at their end), so what is
 * lacking is added again. */
static void write_block(const struct mark_picture *p, const struct basis *basis, int64_t n,
                        const uint8_t *bits, float step)
{
    uint8_t *at = block_at(p, n);
    float brightness[BLOCK], change[BLOCK], wanted[CARRIERS];
    struct block block;
    read_brightness(p, at, brightness);
    for (int c = 0; c < CARRIERS; c++)
        wanted[c] = nearest(coefficient(brightness, basis->wave[c]), step, bits[bit_of(n, c)]);
    load_block(p, at, &block);
    for (int round = 0; round < ROUNDS; round++) {
        if (find_change(&block, basis, wanted, change) < NEAR_ENOUGH)
            break;
        apply_change(&block, change, round == 0 ? make_room(&block, change) : 0);
    }
    store_block(p, at, &block);
}

int64_t mark_opaque_blocks(const struct mark_picture *picture)
{
    int64_t blocks = count_blocks(picture), n = 0;
    for (int64_t i = 0; i < blocks; i++) {
        int opaque = 0;
        while (opaque < BLOCK && pixel_of(picture, block_at(picture, i), opaque)[3] == UINT8_MAX)
            opaque++;
        n += opaque == BLOCK;
    }
    return n;
}

int mark_embed(const struct mark_picture *picture, const uint8_t *message, size_t len, int strength)
{
    uint8_t frame[FRAME_BYTES], bits[CODED_BITS];
    struct basis basis;
    int64_t blocks = count_blocks(picture);
    if (len < 1 || len > MARK_MESSAGE_MAX || strength < MARK_STRENGTH_MIN || strength > MARK_STRENGTH_MAX)
        return -EINVAL;
    if (blocks < MARK_BLOCKS_MIN)
        return -ENOSPC;
    make_frame(message, len, frame);
    encode(frame, bits);
    make_basis(&basis);
    for (int64_t n = 0; n < blocks; n++)
        write_block(picture, &basis, n, bits, step_of(strength));
    return 0;
}

/* ---- reading */

struct hearing {
    float says[MARK_STRENGTH_MAX + 1][CODED_BITS]; /* by strength */
};

/* A block of one colour would say six times 0, as sure as can be; it is what was transparent, or painted
 * over.
 */
static void hear_block(const struct mark_picture *p, const struct basis *basis, int64_t n, struct hearing *h)
{
    float brightness[BLOCK], is[CARRIERS], most = 0;
    read_brightness(p, block_at(p, n), brightness);
    for (int c = 0; c < CARRIERS; c++) {
        is[c] = coefficient(brightness, basis->wave[c]);
        most = fabsf(is[c]) > most ? fabsf(is[c]) : most;
    }
    for (int c = 0; c < CARRIERS && most >= FLAT; c++)
        for (int s = MARK_STRENGTH_MIN; s <= MARK_STRENGTH_MAX; s++)
            h->says[s][bit_of(n, c)] += cosf(2 * (float)M_PI * is[c] / step_of(s));
}

int mark_extract(const struct mark_picture *picture, uint8_t *ret)
{
    uint8_t frame[FRAME_BYTES];
    struct basis basis;
    struct trellis trellis;
    int64_t blocks = count_blocks(picture);
    if (blocks < MARK_BLOCKS_MIN)
        return -ENOENT;
    _cleanup_free_ struct hearing *h = calloc(1, sizeof *h);
    if (!h)
        return -ENOMEM;
    make_basis(&basis);
    make_trellis(&trellis);
    for (int64_t n = 0; n < blocks; n++)
        hear_block(picture, &basis, n, h);
    for (int s = MARK_STRENGTH_MIN; s <= MARK_STRENGTH_MAX; s++) {
        decode(&trellis, h->says[s], frame);
        int r = read_frame(frame, ret);
        if (r > 0)
            return r;
    }
    return -ENOENT;
}
