/*
 * virsh-domain-pci-model.h: the PCI topology that virsh shows
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "internal.h"
#include "virjson.h"
#include "conf/domain_addr.h"

#define VIRSH_PCI_FUNCTIONS (VIR_PCI_ADDRESS_FUNCTION_LAST + 1)
#define VIRSH_PCI_SLOTS (VIR_PCI_ADDRESS_SLOT_LAST + 1)
#define VIRSH_PCI_BUSES 256

typedef struct _virshPCIBus virshPCIBus;

/* All strings but those that are said to be owned belong to the JSON. */
typedef struct {
    const char *type;           /* name of the XML element, or "chipset" */
    const char *subtype;
    const char *model;
    const char *target;
    const char *mac;
    const char *alias;          /* NULL if it says no more than the index */
    char *hints;                /* "busHint=pcie hotpluggable=no"; owned */
    const char *group;          /* that it, or the bus that it provides, is in */
    const char *hotplug;        /* "yes", "no", or "?" */
    virPCIDeviceAddress addr;
    bool placed;                /* @addr is known */
    bool added;                 /* planned; not in the XML that the user gave */
    bool isController;          /* a PCI controller */
    virshPCIBus *bus;           /* that it provides, or NULL */
} virshPCIDevice;

struct _virshPCIBus {
    virshPCIDevice *dev;        /* the controller that provides it */
    unsigned int idx;
    const char *kind;           /* "pcie", "conventional" or "none" */
    const char *busNr;
    const char *node;
    const char *targetIndex;
    unsigned int slots;         /* how many there are */
    uint32_t freeSlots;         /* in which nothing is plugged, as a mask */
    bool hotplug;               /* devices can be plugged into them */
    bool isolated;              /* they are kept for one host IOMMU group */
    bool unreachable;
    bool leadsToFree;           /* it or one below has a free slot, or may have */
    bool shown;                 /* for who draws the topology */
    virshPCIDevice *fn[VIRSH_PCI_SLOTS][VIRSH_PCI_FUNCTIONS];
};

typedef struct {
    virJSONValue *json;
    const char *name;
    const char *arch;
    const char *machine;
    bool known;                 /* the driver said what is free */
    bool planned;               /* by the wish of the user */
    const char *unknown;        /* why not @known, or NULL; not owned */
    virshPCIBus *buses[VIRSH_PCI_BUSES];
    GPtrArray *devices;         /* all virshPCIDevice; owned */
    GPtrArray *unplaced;        /* those that are on no bus */
} virshPCI;

/* One thing to show on a bus: a device, or a run of free slots */
typedef struct {
    virshPCIDevice *dev;        /* NULL: free slots */
    size_t first;
    size_t last;
} virshPCIItem;

void
virshPCIFree(virshPCI *pci);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(virshPCI, virshPCIFree);

virshPCI *
virshPCINew(virJSONValue **json,
            bool planned,
            const char *unknown);

bool
virshPCIBusCounts(const virshPCIBus *bus);

GArray *
virshPCIBusItems(virshPCIBus *bus,
                 bool onlyFree);

GPtrArray *
virshPCIRoots(virshPCI *pci,
              bool onlyFree);

char *
virshPCIAddressFormat(const virPCIDeviceAddress *addr);

char *
virshPCISlotsFormat(const virshPCIBus *bus,
                    size_t first,
                    size_t last);

char *
virshPCIDeviceKind(const virshPCIDevice *dev);

char *
virshPCISummary(const virshPCI *pci,
                bool *missing);
