/* SPDX-License-Identifier: MIT */
/* script.h: a fake broker whose workers come and go as a script says. */
#ifndef TEST_SCRIPT_H
#define TEST_SCRIPT_H

#include "fake.h"

/*
 * Starts one on a socketpair that does what `script` says, step by step, and then expects that nothing more
 * is asked. Requests count from 0. The steps are letters, some with a number behind them:
 *	q	read a request
 *	r	read a request that is the last one again, but for its id
 *	a N	answer request N well
 *	e N	answer request N with EACCES
 *	p N	answer request N with a page of one name, "n", that is not the last
 *	R	send RESTARTED
 *	s	read a SYNC
 *	y	answer the last SYNC: nothing is known
 *	y N	answer the last SYNC: request N is known
 *	o	answer the SYNC before the last: nothing is known
 *	x	answer the last SYNC with EACCES
 *	t	wait until the client has received all, and a moment longer
 *	c	close, and leave the rest of the script
 * and what no broker does:
 *	F	RESTARTED with a descriptor that is not announced
 *	D	RESTARTED with data
 *	I	RESTARTED with an id
 *	z	a reply to a SYNC that was never sent
 *	f	answer the last SYNC as `y`, with a descriptor that is not announced
 *	h	answer the last SYNC with half an id
 *	l	answer the last SYNC with less data than announced
 *	E	an error about the connection (EDQUOT)
 */
void script_start(struct fake *fake, const char *script);

#endif
