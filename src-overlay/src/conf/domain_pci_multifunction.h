/*
 * domain_pci_multifunction.h: slots of which several functions are in use
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "domain_conf.h"

void
virDomainPCIMultifunctionSet(virDomainDef *def)
    ATTRIBUTE_NONNULL(1);
