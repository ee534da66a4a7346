/*
 * address.c
 *		Which network addresses are private.
 *
 * By the registries of special-purpose addresses (RFC 6890 and its successors).
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "webhook/address.h"

typedef struct Ipv4Range
{
	uint32		network;
	int			bits;
} Ipv4Range;

static const Ipv4Range private_ipv4[] = {
	{0x00000000, 8},			/* this network */
	{0x0A000000, 8},			/* private */
	{0x64400000, 10},			/* shared, carriers' */
	{0x7F000000, 8},			/* loopback */
	{0xA9FE0000, 16},			/* link-local, with the clouds' metadata */
	{0xAC100000, 12},			/* private */
	{0xC0000000, 24},			/* protocol assignments */
	{0xC0000200, 24},			/* documentation */
	{0xC0A80000, 16},			/* private */
	{0xC6120000, 15},			/* benchmarks */
	{0xC6336400, 24},			/* documentation */
	{0xCB007100, 24},			/* documentation */
	{0xE0000000, 4},			/* multicast */
	{0xF0000000, 4},			/* reserved, broadcast */
};

/* An IPv4 address in the host's byte order. */
static bool
ipv4_is_private(uint32 address)
{
	for (int i = 0; i < (int) lengthof(private_ipv4); i++)
	{
		uint32		mask = ~(uint32) 0 << (32 - private_ipv4[i].bits);

		if ((address & mask) == private_ipv4[i].network)
			return true;
	}
	return false;
}

/* Four bytes in the network's order. */
static uint32
read_ipv4(const uint8 *bytes)
{
	return (uint32) bytes[0] << 24 | (uint32) bytes[1] << 16 | (uint32) bytes[2] << 8 | bytes[3];
}

/* Only 2000::/3 is public; within it some ranges carry an IPv4 address or are special. */
static bool
ipv6_is_private(const uint8 *a)
{
	static const uint8 mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	static const uint8 nat64[12] = {0, 0x64, 0xff, 0x9b};

	if (memcmp(a, mapped, 12) == 0 || memcmp(a, nat64, 12) == 0)
		return ipv4_is_private(read_ipv4(a + 12));
	if ((a[0] & 0xe0) != 0x20)
		return true;
	if (a[0] == 0x20 && a[1] == 0x02)	/* 6to4 */
		return ipv4_is_private(read_ipv4(a + 2));
	if (a[0] == 0x20 && a[1] == 0x01 && (a[2] & 0xfe) == 0) /* protocol assignments, Teredo */
		return true;
	return a[0] == 0x20 && a[1] == 0x01 && a[2] == 0x0d && a[3] == 0xb8;	/* documentation */
}

/* See address.h. */
bool
address_is_private(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET)
		return ipv4_is_private(ntohl(((const struct sockaddr_in *) address)->sin_addr.s_addr));
	if (address->sa_family == AF_INET6)
		return ipv6_is_private(((const struct sockaddr_in6 *) address)->sin6_addr.s6_addr);
	return true;
}
