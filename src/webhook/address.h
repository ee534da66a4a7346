/*
 * address.h
 *		Which network addresses are private.
 */
#ifndef ADAPTY_ADDRESS_H
#define ADAPTY_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/*
 * Is an address anything but a public one: loopback, link-local, private, shared, multicast,
 * unspecified or reserved; of IPv4, of IPv6, or of IPv4 within IPv6?  Families other than these
 * two are private.
 */
extern bool address_is_private(const struct sockaddr *address);

#endif							/* ADAPTY_ADDRESS_H */
