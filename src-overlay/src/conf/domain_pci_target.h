/*
 * domain_pci_target.h: what the series adds to the <target> of a PCI controller
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "domain_pci_windows.h"

int
virDomainPCITargetParseXML(xmlNodePtr target,
                           virDomainPCIControllerOpts *opts)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

void
virDomainPCITargetFormat(virBuffer *attrBuf,
                         const virDomainPCIControllerOpts *opts,
                         virDomainPCIWindow first)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);
