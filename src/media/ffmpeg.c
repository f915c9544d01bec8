/* SPDX-License-Identifier: MIT */
/* FFmpeg never guesses what a file is: the demuxer is named by what the file's bytes say, so that no playlist
 * or script is followed, and reads files alone. Decoders are those that creators' films need. */
#include "media/internal.h"
#include "media/progress.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>

#define DECODERS \
    "h264,hevc,vp8,vp9,libvpx,libvpx-vp9,av1,libdav1d,libaom-av1,mpeg4,h263,mpeg2video,mjpeg,prores,png," \
    "aac,mp2,mp2float,mp3,mp3float,amrnb,amrwb,ac3,eac3,opus,libopus,vorbis,flac,alac," \
    "pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_f32le,pcm_u8,pcm_mulaw,pcm_alaw"

/* Of films; the mark of a watermark is a PNG of ours. */
const char media_decoders[] = DECODERS;

/* ffprobe opens a decoder for each stream, also for those that are left out afterwards. */
const char media_probe_decoders[] =
    DECODERS ",srt,subrip,ass,ssa,mov_text,webvtt,text,dvdsub,dvbsub,pgssub,cc_dec";

static const struct {
    const char *type, *demuxer, *all;
} demuxers[] = {
    {"video/mp4", "mov", "mov,mp4,m4a,3gp,3g2,mj2"},  {"video/quicktime", "mov", "mov,mp4,m4a,3gp,3g2,mj2"},
    {"video/3gpp", "mov", "mov,mp4,m4a,3gp,3g2,mj2"}, {"video/3gpp2", "mov", "mov,mp4,m4a,3gp,3g2,mj2"},
    {"video/webm", "matroska", "matroska,webm"},      {"video/x-matroska", "matroska", "matroska,webm"},
};

int media_ffmpeg_source(struct media_run *run, struct media_args *args, size_t input)
{
    for (size_t i = 0; i < ARRAY_LEN(demuxers); i++)
        if (str_equal(demuxers[i].type, run->inputs[input].type)) {
            media_add(args, "-f", demuxers[i].demuxer, "-format_whitelist", demuxers[i].all,
                      "-protocol_whitelist", "file,pipe", "-codec_whitelist", media_decoders);
            return 0;
        }
    return media_fail(run, -EINVAL, "File %zu is no video (MP4, QuickTime, 3GP, WebM, Matroska), but %s",
                      input + 1, run->inputs[input].type);
}

void media_ffmpeg(struct media_run *run, struct media_args *args)
{
    *args = (struct media_args){.arena = run->arena};
    media_add(args, "ffmpeg", "-hide_banner", "-nostdin", "-n", "-v", "error", "-nostats", "-progress",
              "pipe:1", "-max_alloc", "1073741824", "-filter_threads");
    media_argf(args, "%lld", (long long)run->cfg->media_threads);
    media_add(args, "-filter_complex_threads");
    media_argf(args, "%lld", (long long)run->cfg->media_threads);
}

int media_ffmpeg_input(struct media_run *run, struct media_args *args, size_t input)
{
    int r = media_ffmpeg_source(run, args, input);
    media_add(args, "-threads");
    media_argf(args, "%lld", (long long)run->cfg->media_threads);
    media_add(args, "-i");
    media_argf(args, "file:%s", media_input_name(run, input));
    return r;
}

/* Tags and chapters of the input would tell more than its owner means to publish. */
void media_ffmpeg_h264(struct media_run *run, struct media_args *args, const char *preset, int64_t crf)
{
    media_add(args, "-c:v", "libx264", "-preset", preset, "-crf");
    media_argf(args, "%lld", (long long)crf);
    media_ffmpeg_mp4(run, args);
}

void media_ffmpeg_mp4(struct media_run *run, struct media_args *args)
{
    media_add(args, "-pix_fmt", "yuv420p", "-threads");
    media_argf(args, "%lld", (long long)run->cfg->media_threads);
    media_add(args, "-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1", "-max_muxing_queue_size",
              "4096", "-movflags", "+faststart", "-f", "mp4");
}

/* What MP4 can hold and every player knows is taken as it is. */
void media_ffmpeg_audio(struct media_args *args, const struct media_film *film)
{
    if (film->audio < 0) {
        media_arg(args, "-an");
        return;
    }
    media_arg(args, "-map");
    media_argf(args, "0:%d", film->audio);
    if (str_equal(film->audio_codec, "aac") || str_equal(film->audio_codec, "mp3"))
        media_add(args, "-c:a", "copy");
    else
        media_add(args, "-c:a", "aac", "-b:a", "160k", "-ac", "2");
}

struct writing {
    struct media_run *run;
    struct media_progress_lines lines;
    double seconds;
};

static void on_progress(void *ctx, enum process_stream from, const char *data, size_t len)
{
    struct writing *w = ctx;
    (void)from;
    media_progress_feed(&w->lines, data, len);
    double part = w->seconds > 0 ? w->lines.seconds / w->seconds : 0;
    part = part > 1 ? 1 : part;
    media_progress(w->run, w->run->part_from + (int)(part * (w->run->part_to - w->run->part_from)));
}

int media_ffmpeg_time(struct media_run *run, const struct media_args *args, double *ret_seconds)
{
    struct writing w = {.run = run};
    struct media_tool tool = {
        .args = args, .out = on_progress, .ctx = &w, .failed = "The video is damaged: it can't be decoded"};
    int r = media_tool(run, &tool);
    if (r == 0)
        *ret_seconds = w.lines.seconds;
    return r;
}

int media_ffmpeg_run(struct media_run *run, const struct media_args *args, double seconds)
{
    struct writing w = {.run = run, .seconds = seconds};
    struct media_tool tool = {
        .args = args, .out = on_progress, .ctx = &w, .failed = "The video is damaged: it can't be decoded"};
    int r = media_tool(run, &tool);
    if (r == 0 && w.lines.seconds < 0.95 * seconds - 0.5)
        return media_fail(run, -EINVAL,
                          "The video is damaged or incomplete: %.1f s of %.1f s could be decoded",
                          w.lines.seconds, seconds);
    if (r == 0)
        media_progress(run, run->part_to);
    return r;
}
