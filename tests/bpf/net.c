/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <xdp/xsk.h>

#include "harness.h"

#define CHUNKS 64
#define CHUNK_SIZE 4096

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), ok;

	if (fd < 0)
		return -1;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok ? 0 : -1;
}

uint32_t private_net(void)
{
	if (unshare(CLONE_NEWNET))
		return 0;
	/* Without IPv6 neither end says anything of its own accord. */
	write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
	if (system("ip link add " PRIVATE_IFACE " numrxqueues 2 numtxqueues 2 type veth"
		   " peer name veth1 numrxqueues 2 numtxqueues 2 &&"
		   " ip link set veth1 up && ip link set " PRIVATE_IFACE " up")) {
		errno = EINVAL;
		return 0;
	}
	return if_nametoindex(PRIVATE_IFACE);
}

struct socket_on {
	struct xsk_ring_prod fill, tx;
	struct xsk_ring_cons completion, rx;
	struct xsk_umem *umem;
	struct xsk_socket *xsk;
	uint8_t *area;
};

struct socket_on *socket_on_queue(const struct udpxdp_bpf *filter, uint32_t queue)
{
	const struct xsk_umem_config umem_config = {
		.fill_size = CHUNKS,
		.comp_size = CHUNKS,
		.frame_size = CHUNK_SIZE,
	};
	const struct xsk_socket_config config = {
		.rx_size = CHUNKS,
		.tx_size = CHUNKS,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = XDP_COPY,
	};
	struct socket_on *sock = calloc(1, sizeof(*sock));
	uint32_t first = 0, i;
	int fd, err;

	if (!sock)
		return NULL;
	sock->area = mmap(NULL, CHUNKS * CHUNK_SIZE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (sock->area == MAP_FAILED) {
		free(sock);
		return NULL;
	}
	err = xsk_umem__create(&sock->umem, sock->area, CHUNKS * CHUNK_SIZE, &sock->fill,
		&sock->completion, &umem_config);
	if (!err)
		err = xsk_socket__create(&sock->xsk, PRIVATE_IFACE, queue, sock->umem, &sock->rx,
			&sock->tx, &config);
	if (!err) {
		fd = xsk_socket__fd(sock->xsk);
		err = bpf_map_update_elem(bpf_map__fd(filter->maps.sockets), &queue, &fd, BPF_ANY);
	}
	if (err) {
		socket_close(sock);
		errno = -err;
		return NULL;
	}
	xsk_ring_prod__reserve(&sock->fill, CHUNKS, &first);
	for (i = 0; i < CHUNKS; i++)
		*xsk_ring_prod__fill_addr(&sock->fill, first + i) = i * CHUNK_SIZE;
	xsk_ring_prod__submit(&sock->fill, CHUNKS);
	return sock;
}

int socket_fd(const struct socket_on *sock)
{
	return xsk_socket__fd(sock->xsk);
}

uint32_t socket_take(struct socket_on *sock, void *frame, uint32_t size)
{
	const struct xdp_desc *desc;
	uint32_t index, len;

	if (!xsk_ring_cons__peek(&sock->rx, 1, &index))
		return 0;
	desc = xsk_ring_cons__rx_desc(&sock->rx, index);
	len = desc->len;
	memcpy(frame, sock->area + desc->addr, len < size ? len : size);
	xsk_ring_cons__release(&sock->rx, 1);
	return len;
}

void socket_close(struct socket_on *sock)
{
	if (sock->xsk)
		xsk_socket__delete(sock->xsk);
	if (sock->umem)
		xsk_umem__delete(sock->umem);
	munmap(sock->area, CHUNKS * CHUNK_SIZE);
	free(sock);
}
