/*
 * domain_pci_report.h: PCI controllers and devices of a guest, for people and
 *                      programs
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "domain_pci_topology.h"
#include "virjson.h"
#include "virxml.h"

/* Version of the JSON. It is raised if a key changes its meaning or goes away,
 * not if one is added. */
#define VIR_DOMAIN_PCI_REPORT_VERSION 1

/* Kinds of slots that are counted apart */
typedef enum {
    VIR_DOMAIN_PCI_CLASS_EXPRESS,
    VIR_DOMAIN_PCI_CLASS_CONVENTIONAL,

    VIR_DOMAIN_PCI_CLASS_LAST
} virDomainPCIClass;

VIR_ENUM_DECL(virDomainPCIClass);

/* A device, or a PCI controller together with the bus that it provides */
typedef struct {
    char *type;         /* name of the XML element, or "chipset" */
    char *subtype;      /* of a controller, host device or input device */
    char *model;
    char *target;       /* what a person knows the device by */
    char *mac;
    char *alias;
    char *hints[VIR_DOMAIN_PCI_HINT_LAST];
    virPCIDeviceAddress addr;
    bool placed;        /* @addr is known */

    /* PCI controllers only */
    bool isController;
    unsigned int idx;
    bool indexed;       /* @idx is known */
    bool isRoot;
    bool switchedOff;   /* <target hotplug='off'/> */
    virDomainPCIAddressBus bus; /* what its model offers; no flags: unknown */
    virDomainPCIWindows windows;
    char *busNr;
    char *node;
    char *targetIndex;
    char *group;        /* that its bus belongs to */

    /* What only the hypervisor driver knows, see virDomainPCIReport.known */
    bool added;         /* the XML that was planned did not have it */
    bool hotplug;       /* its slot, or the slots of its bus */
    const char *told;   /* how the guest learns of it; NULL: unknown */
    bool isolated;      /* slots are kept for one IOMMU group of the host */
    bool unreachable;   /* it leads to no root */
    uint32_t freeSlots; /* slots in which nothing is plugged, as a mask */
    int guestNode;      /* NUMA node of its bus, -1: none */
} virDomainPCIReportItem;

/* Free slots that are promised */
typedef struct {
    virDomainPCIClass kind;
    unsigned int asked;
    unsigned int free;  /* at most @asked */
    virDomainPCIWindows windows;
    int node;           /* NUMA node of the guest, -1: any */
    const char *group;  /* interned name of the group that they are for */
} virDomainPCIReportPromise;

typedef struct {
    char *name;
    char *arch;
    char *machine;
    GPtrArray *items;       /* virDomainPCIReportItem, in the order of the XML */
    GPtrArray *preferences; /* name, value, name, value, ... */

    bool known;     /* the hypervisor driver has filled in what it knows */
    bool planned;   /* it had to give devices their places first */
    size_t freeSlots[VIR_DOMAIN_PCI_CLASS_LAST];
    virDomainPCIReportPromise *promises;
    size_t npromises;
    bool asks[VIR_DOMAIN_PCI_CLASS_LAST];
    unsigned int asked[VIR_DOMAIN_PCI_CLASS_LAST];
} virDomainPCIReport;

void
virDomainPCIReportFree(virDomainPCIReport *report);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(virDomainPCIReport, virDomainPCIReportFree);

virDomainPCIReport *
virDomainPCIReportNew(xmlNodePtr domain)
    ATTRIBUTE_NONNULL(1);

void
virDomainPCIReportAddChipset(virDomainPCIReport *report,
                             const virPCIDeviceAddress *addr,
                             const char *name)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

void
virDomainPCIReportMarkAdded(virDomainPCIReport *report,
                            const virDomainPCIReport *before)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

virJSONValue *
virDomainPCIReportFormat(const virDomainPCIReport *report)
    ATTRIBUTE_NONNULL(1);
