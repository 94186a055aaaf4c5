/* SPDX-License-Identifier: Apache-2.0 */
/* What a loop listens to for its whole life besides sockets: signals and files.
 *
 * A file is watched through its folder and name, because editors replace a file by renaming
 * another over it: a watch on the file itself would then follow the dead one. */
#include <string.h>

#include "base/alloc.h"
#include "loop_priv.h"

struct signal_watch {
    struct mt_loop_guest guest;
    uv_signal_t uv;
    void (*fn)(void *arg, int signum);
    void *arg;
};

struct file_watch {
    struct mt_loop_guest guest;
    uv_fs_event_t uv;
    void (*fn)(void *arg);
    void *arg;
    char *folder; /* owned */
    const char *name;
};

static void free_signal(uv_handle_t *handle)
{
    mt_free(handle->data);
}

static void close_signal(struct mt_loop_guest *guest)
{
    struct signal_watch *watch = MT_CONTAINER(guest, struct signal_watch, guest);

    uv_close((uv_handle_t *)&watch->uv, free_signal);
}

static void on_signal(uv_signal_t *uv, int signum)
{
    struct signal_watch *watch = uv->data;

    watch->fn(watch->arg, signum);
}

mt_rc mt_loop_on_signal(struct mt_loop *loop, int signum, void (*fn)(void *arg, int signum),
                        void *arg, struct mt_err *err)
{
    struct signal_watch *watch = mt_alloc(1, sizeof *watch);
    int rc;

    if (watch == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "signal watch");
    rc = uv_signal_init(mt_loop_uv(loop), &watch->uv);
    if (rc != 0) {
        mt_free(watch);
        return MT_FAIL(err, MT_E_IO, "signal watch: %s", uv_strerror(rc));
    }
    watch->uv.data = watch;
    watch->fn = fn;
    watch->arg = arg;
    watch->guest.close = close_signal;
    rc = uv_signal_start(&watch->uv, on_signal, signum);
    if (rc != 0) {
        close_signal(&watch->guest);
        return MT_FAIL(err, MT_E_INVALID, "signal %d: %s", signum, uv_strerror(rc));
    }
    mt_loop__adopt(loop, &watch->guest);
    return MT_OK;
}

static void free_file(uv_handle_t *handle)
{
    struct file_watch *watch = handle->data;

    mt_free(watch->folder);
    mt_free(watch);
}

static void close_file(struct mt_loop_guest *guest)
{
    struct file_watch *watch = MT_CONTAINER(guest, struct file_watch, guest);

    uv_close((uv_handle_t *)&watch->uv, free_file);
}

static void on_folder(uv_fs_event_t *uv, const char *name, int events, int status)
{
    struct file_watch *watch = uv->data;

    (void)events;
    (void)status; /* events were lost: what may have changed is reported as changed */
    if (name == NULL || strcmp(name, watch->name) == 0)
        watch->fn(watch->arg);
}

/* "a/b/c" -> folder "a/b" and name "c" in one block; "c" -> "." and "c". */
static struct file_watch *file_watch_new(const char *path)
{
    struct mt_str whole = mt_str_of(path);
    const char *slash = strrchr(path, '/');
    size_t folder_len = slash == NULL ? 0 : (size_t)(slash - path);
    struct file_watch *watch = mt_alloc(1, sizeof *watch);

    if (watch == NULL)
        return NULL;
    watch->folder = mt_alloc(whole.len + 3, 1);
    if (watch->folder == NULL) {
        mt_free(watch);
        return NULL;
    }
    if (slash == NULL)
        watch->folder[0] = '.';
    else if (folder_len == 0)
        watch->folder[0] = '/';
    else
        memcpy(watch->folder, path, folder_len);
    /* the name behind the folder: what mt_alloc zeroed ends both */
    char *name = watch->folder + strlen(watch->folder) + 1;
    size_t name_len = slash == NULL ? whole.len : whole.len - folder_len - 1;
    memcpy(name, path + whole.len - name_len, name_len);
    watch->name = name;
    return watch;
}

mt_rc mt_loop_on_file(struct mt_loop *loop, const char *path, void (*fn)(void *arg), void *arg,
                      struct mt_err *err)
{
    struct file_watch *watch = file_watch_new(path);
    int rc;

    if (watch == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "file watch '%s'", path);
    (void)uv_fs_event_init(mt_loop_uv(loop), &watch->uv); /* cannot fail */
    watch->uv.data = watch;
    watch->fn = fn;
    watch->arg = arg;
    watch->guest.close = close_file;
    rc = uv_fs_event_start(&watch->uv, on_folder, watch->folder, 0);
    if (rc != 0) {
        mt_rc fail = MT_FAIL(err, rc == UV_ENOENT ? MT_E_NOTFOUND : MT_E_IO, "folder '%s': %s",
                             watch->folder, uv_strerror(rc));
        close_file(&watch->guest);
        return fail;
    }
    mt_loop__adopt(loop, &watch->guest);
    return MT_OK;
}
