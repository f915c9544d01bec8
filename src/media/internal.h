/* SPDX-License-Identifier: MIT */
/* Private to src/media: failing, and running programs. */
#ifndef MEDIA_INTERNAL_H
#define MEDIA_INTERNAL_H

#include "media/operation.h"
#include "media/params.h"

#include "proc/process.h"

#define MEDIA_PROGRAM_MEMORY ((int64_t)4 * 1024 * 1024 * 1024) /* bytes of address space, each program */

/* Notes why the run fails (the first reason stays) and returns error, which is negative. -ENOSPC, -ETIMEDOUT,
 * -ENOMEM, -EAGAIN, -EMFILE and -ENFILE may pass. */
int media_fail(struct media_run *run, int error, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* A line for the job's log. */
void media_log(struct media_run *run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Progress of the whole run. */
void media_progress(struct media_run *run, int percent);

/* From here to there stands what the next program does. */
void media_part(struct media_run *run, int from, int to);

/* ---- programs */

#define MEDIA_ARGS_MAX 512

/* An argument vector as it grows: full or without memory it is `failed`, and media_tool refuses it. */
struct media_args {
    struct arena *arena;
    const char *argv[MEDIA_ARGS_MAX];
    size_t n;
    bool failed;
};

void media_arg(struct media_args *args, const char *arg); /* borrowed */
void media_argf(struct media_args *args, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void media_arg_list(struct media_args *args, const char *const *list); /* ended by NULL */
#define media_add(args, ...) media_arg_list(args, (const char *const[]){__VA_ARGS__, NULL})

/* What it prints on its standard output goes to `out`. What it prints as errors goes to the job's log. */
struct media_tool {
    const struct media_args *args;
    process_output_fn out; /* NULL = thrown away; only PROCESS_STDOUT */
    void *ctx;
    const char *failed; /* the sentence where it exits with an error, as for an input it can't read */
    void (*line)(void *ctx,
                 char *line); /* a line of its errors, before it is logged; may change it; or NULL */
    const char *const *env;   /* more variables, ended by NULL; or NULL */
    const char *dir;          /* NULL = the working directory */
    struct cancel *cancel;    /* NULL = the run's */
    int64_t max_file;         /* 0 = media_output_most */
};

/* Runs it, whatever its end: 0, or negative errno with run->error where it wasn't started. */
int media_program(struct media_run *run, const struct media_tool *tool, struct process_end *ret);

/* Runs it in the run's working directory, within its time and the limits: 0, or negative errno with
 * run->error. -EINVAL: it failed by itself. */
int media_tool(struct media_run *run, const struct media_tool *tool);

/* Bytes that a file a program writes may have. */
int64_t media_output_most(const struct media_run *run);

/* ---- FFmpeg */

extern const char media_decoders[], media_probe_decoders[];

struct media_film {
    int video, audio; /* numbers of their streams; audio -1: it is silent */
    char video_codec[32], audio_codec[32];
    int64_t width, height; /* as it is shown, turned */
    double shape;          /* width of a pixel by its height, as it is shown; 1 = square */
    double duration;       /* seconds, > 0 */
    double picture;        /* seconds after which the picture ends; sound may go on */
    double rate;           /* frames a second, > 0 */
};

/* Begins an argument vector of ffmpeg, with what holds for all of them. */
void media_ffmpeg(struct media_run *run, struct media_args *args);

/* Says how an input is to be read: its demuxer, protocols, decoders. 0, or -EINVAL: it is no film. */
int media_ffmpeg_source(struct media_run *run, struct media_args *args, size_t input);

/* The same, with `-i` and its name; options of the input go before. */
int media_ffmpeg_input(struct media_run *run, struct media_args *args, size_t input);

/* Options of the output: MP4 that plays everywhere and begins before it is whole, without tags and chapters;
 * the first with H.264 of a quality. Then the first input's sound: as it is, where MP4 can hold it. */
void media_ffmpeg_h264(struct media_run *run, struct media_args *args, const char *preset, int64_t crf);
void media_ffmpeg_mp4(struct media_run *run, struct media_args *args);
void media_ffmpeg_audio(struct media_args *args, const struct media_film *film);

/* Runs it, with progress. What it writes must have about `seconds`, else an input was damaged (0 = any). */
int media_ffmpeg_run(struct media_run *run, const struct media_args *args, double seconds);

/* Runs it, and tells how many seconds it has written. */
int media_ffmpeg_time(struct media_run *run, const struct media_args *args, double *ret_seconds);

/* ---- ImageMagick */

/* Begins an argument vector of convert. */
void media_convert(struct media_run *run, struct media_args *args);

/* Adds the first frame of an input, upright, in sRGB. */
void media_picture(struct media_run *run, struct media_args *args, size_t input);

/* Adds what ends it: the output, named in the working directory, in a format ("jpeg", "png", "webp", "avif"),
 * without anything but the picture and its colour profile. */
void media_convert_output(struct media_args *args, const char *format, int64_t quality, const char *name);

int media_convert_run(struct media_run *run, const struct media_args *args);

/* Takes out of a PNG, WebP or GIF in the working directory what isn't its picture: 0, or it fails with a
 * sentence. */
int media_clean(struct media_run *run, const char *name);

/* The format in which a picture like this input is written, and the end of a file's name in it. */
const char *media_image_format(const struct media_run *run, size_t input);
const char *media_image_extension(const char *format);

/* ---- inputs and outputs */

bool media_is_image(const struct media_run *run, size_t input);
bool media_is_film(const struct media_run *run, size_t input);

/* The end of a file's name that goes with its type ("jpg"), and its name in the working directory. */
const char *media_input_end(const struct media_run *run, size_t input);
const char *media_input_name(struct media_run *run, size_t input);

/* The absolute path of a name in the working directory: 0, or -ENAMETOOLONG. */
int media_work_path(struct media_run *run, const char *name, char *to, size_t size);

struct media_size {
    int64_t width, height;
};

/* The size of a picture as it is shown: within the limits, or it fails with a sentence. */
int media_look_image(struct media_run *run, size_t input, struct media_size *ret);

/* What a film is: one that can be decoded, within the limits, or it fails with a sentence. */
int media_look_film(struct media_run *run, size_t input, struct media_film *ret);

/* Adds a file of the working directory to the outputs: alone, or having looked at it. format: the end of a
 * picture's media type. */
int media_output_add(struct media_run *run, const char *name, const char *file_name,
                     struct media_output **ret);
int media_output_image(struct media_run *run, const char *name, const char *format, const char *file_name);
int media_output_film(struct media_run *run, const char *name, const char *type, const char *file_name);

#endif
