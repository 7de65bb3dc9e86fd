/* SPDX-License-Identifier: ISC */
/* All of libphial: secrets sealed to hosts, in age and minisign. */
#ifndef PHIAL_PHIAL_H
#define PHIAL_PHIAL_H

#include <phial/error.h>
#include <phial/keys.h>
#include <phial/sealed.h>
#include <phial/secret.h>

#endif
