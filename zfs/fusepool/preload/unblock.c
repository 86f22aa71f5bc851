/*
 * Loaded into zfs-fuse, which reads the requests of all its file systems under
 * one lock, each after poll(2) has said that there is one. An interrupt that a
 * signal sends after a request goes away when that request is answered first:
 * then the read finds nothing and sleeps, and every other file system of the
 * daemon with it, until somebody asks the same one for something. With this it
 * does not sleep, and zfs-fuse takes 0 for what it is: nothing to do.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>

struct fuse_chan;
int fuse_chan_fd(struct fuse_chan *ch);

int fuse_chan_recv(struct fuse_chan **ch, char *buf, size_t size)
{
	int (*receive)(struct fuse_chan **, char *, size_t) = dlsym(RTLD_NEXT, "fuse_chan_recv");
	int fd = fuse_chan_fd(*ch);
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0 && !(flags & O_NONBLOCK))
		fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	int got = receive(ch, buf, size);
	return got == -EAGAIN || got == -EINTR ? 0 : got;
}
