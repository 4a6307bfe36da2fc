/*
 * domain_pci_hints.h: what a user asks of the place of one PCI device
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "internal.h"
#include "virbuffer.h"
#include "virenum.h"
#include "virxml.h"

typedef enum {
    VIR_DOMAIN_PCI_BUS_HINT_DEFAULT = 0,
    VIR_DOMAIN_PCI_BUS_HINT_PCI,
    VIR_DOMAIN_PCI_BUS_HINT_PCIE,

    VIR_DOMAIN_PCI_BUS_HINT_LAST
} virDomainPCIBusHint;

VIR_ENUM_DECL(virDomainPCIBusHint);

/* The attributes of <address type='pci'/> */
typedef enum {
    VIR_DOMAIN_PCI_HINT_HOTPLUGGABLE = 0,
    VIR_DOMAIN_PCI_HINT_BUS,
    VIR_DOMAIN_PCI_HINT_CONNECTION,
    VIR_DOMAIN_PCI_HINT_NODE,
    VIR_DOMAIN_PCI_HINT_GROUP,

    VIR_DOMAIN_PCI_HINT_LAST
} virDomainPCIHint;

VIR_ENUM_DECL(virDomainPCIHint);

/* What they say; all zero means that none is given */
typedef struct {
    virTristateBool hotpluggable;
    virDomainPCIBusHint busHint;
    bool hasConnection;
    int connection; /* virDomainControllerModelPCI, if @hasConnection */
    bool hasNode;
    unsigned int node; /* NUMA node of the guest, if @hasNode */
    const char *group; /* interned name of the group that it is in, or NULL */

    /* values that this build does not know. They have no effect, and are kept
     * for a build that does know them. Interned, so nobody has to free them. */
    const char *unknown[VIR_DOMAIN_PCI_HINT_LAST];
} virDomainPCIHints;

bool
virDomainPCIHintsGiven(const virDomainPCIHints *hints)
    ATTRIBUTE_NONNULL(1);

bool
virDomainPCIHintsEqual(const virDomainPCIHints *a,
                       const virDomainPCIHints *b)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

int
virDomainPCIHintsNode(const virDomainPCIHints *hints)
    ATTRIBUTE_NONNULL(1);

bool
virDomainPCIHintsUnknown(const virDomainPCIHints *hints)
    ATTRIBUTE_NONNULL(1);

int
virDomainPCIHintsParseXML(xmlNodePtr address,
                          bool isPCI,
                          bool strict,
                          virDomainPCIHints *hints);

int
virDomainPCIHintsRefuse(xmlNodePtr address)
    ATTRIBUTE_NONNULL(1);

void
virDomainPCIHintsFormat(virBuffer *attrBuf,
                        const virDomainPCIHints *hints)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);
