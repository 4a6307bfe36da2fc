/*
 * domain_preferences.h: what a user asks of the planning of a guest
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "internal.h"
#include "device_conf.h"
#include "domain_pci_target.h"
#include "virbuffer.h"
#include "virconftypes.h"
#include "virenum.h"
#include "virxml.h"

typedef enum {
    VIR_DOMAIN_PREFERENCE_PCIE_HOTPLUG_SLOTS = 0,
    VIR_DOMAIN_PREFERENCE_PCI_HOTPLUG_SLOTS,
    VIR_DOMAIN_PREFERENCE_DEFAULT_ADDRESS_TYPE,
    VIR_DOMAIN_PREFERENCE_HOTPLUGGABLE,
    VIR_DOMAIN_PREFERENCE_HOSTDEV_PLACEMENT,
    VIR_DOMAIN_PREFERENCE_PCI_GROUP,

    VIR_DOMAIN_PREFERENCE_LAST
} virDomainPreference;

VIR_ENUM_DECL(virDomainPreference);

/* One <preference/> as it stands in the XML */
typedef struct {
    char *name;
    char *value;
    char *share;
    char *windows[VIR_DOMAIN_PCI_WINDOW_LAST];
    char *node;
    char *spare;
} virDomainPreferenceItem;

/* A number of free slots */
typedef struct {
    virDomainPreference which;
    unsigned int number;
    virDomainPCIWindows windows; /* that each of them has at least */
    int node; /* NUMA node of the guest that they are near to, -1: any */
} virDomainPreferenceSlots;

/* What the devices of a group have to themselves */
typedef enum {
    VIR_DOMAIN_PCI_GROUP_SLOT = 0,  /* one slot: they are its functions */
    VIR_DOMAIN_PCI_GROUP_SWITCH,    /* what is below one upstream port */
    VIR_DOMAIN_PCI_GROUP_ROOT,      /* what is below one host bridge */

    VIR_DOMAIN_PCI_GROUP_LAST
} virDomainPCIGroupShare;

VIR_ENUM_DECL(virDomainPCIGroupShare);

/* Devices that belong together */
typedef struct {
    const char *name; /* interned, as in the hints of its members */
    virDomainPCIGroupShare share;
    int node; /* NUMA node of the guest that they are near to, -1: any */
    unsigned int spare; /* free slots that it keeps for more of them */
} virDomainPCIGroup;

typedef struct _virDomainPreferences virDomainPreferences;
struct _virDomainPreferences {
    /* All of them in their order, so that what one build does not know is kept
     * for another that does */
    virDomainPreferenceItem *items;
    size_t nitems;

    /* What they say */
    bool given[VIR_DOMAIN_PREFERENCE_LAST];
    virDomainPreferenceSlots *slots;
    size_t nslots;
    virDomainPCIGroup *groups;
    size_t ngroups;
    virDomainDeviceAddressType defaultAddressType;
    virTristateBool hotpluggable;
};

void
virDomainPreferencesFree(virDomainPreferences *prefs);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(virDomainPreferences, virDomainPreferencesFree);

int
virDomainPreferencesParseXML(xmlXPathContextPtr ctxt,
                             bool strict,
                             virDomainPreferences **prefs)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(3);

void
virDomainPreferencesFormat(virBuffer *buf,
                           const virDomainPreferences *prefs)
    ATTRIBUTE_NONNULL(1);

int
virDomainPreferencesRefuse(virDomainDef *def)
    ATTRIBUTE_NONNULL(1);

bool
virDomainPreferencesGiven(const virDomainPreferences *prefs,
                          virDomainPreference which);

const virDomainPCIGroup *
virDomainPreferencesGetGroup(const virDomainPreferences *prefs,
                             const char *name);

/* What a machine type can be asked for, as <domainCapabilities> says it */
typedef struct _virDomainPreferencesCaps virDomainPreferencesCaps;
struct _virDomainPreferencesCaps {
    bool supported[VIR_DOMAIN_PREFERENCE_LAST];
    unsigned int slotsMax[VIR_DOMAIN_PREFERENCE_LAST]; /* of a guest without devices */
    bool windows[VIR_DOMAIN_PREFERENCE_LAST][VIR_DOMAIN_PCI_WINDOW_LAST]; /* of slots */
    bool node[VIR_DOMAIN_PREFERENCE_LAST]; /* slots can be asked of a NUMA node */
    int nodeHost;           /* virDomainControllerModelPCI that has the NUMA node
                             * of a device; -1: there is none */
    bool share[VIR_DOMAIN_PCI_GROUP_LAST]; /* what groups can have */
    bool virtioMMIO;        /* defaultAddressType can be 'virtio-mmio' */
    unsigned int models;    /* models of PCI controllers that may be added: a
                             * mask of 1 << virDomainControllerModelPCI */
};

void
virDomainPreferencesCapsFormat(virBuffer *buf,
                               const virDomainPreferencesCaps *caps)
    ATTRIBUTE_NONNULL(1);
