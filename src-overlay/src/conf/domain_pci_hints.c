/*
 * domain_pci_hints.c: what a user asks of the place of one PCI device
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The hints are attributes of the <address> element of a device, because that
 * is the one element that has the same parser for all devices.
 */

#include <config.h>

#include "domain_pci_hints.h"
#include "domain_conf.h"
#include "virerror.h"
#include "virstring.h"

#define VIR_FROM_THIS VIR_FROM_DOMAIN

VIR_ENUM_IMPL(virDomainPCIBusHint,
              VIR_DOMAIN_PCI_BUS_HINT_LAST,
              "default",
              "pci",
              "pcie",
);

VIR_ENUM_IMPL(virDomainPCIHint,
              VIR_DOMAIN_PCI_HINT_LAST,
              "hotpluggable",
              "busHint",
              "preferredConnection",
              "node",
              "group",
);


/**
 * virDomainPCIHintsUnknown:
 * @hints: hints of a device
 *
 * Returns: true if some of them have values that this build does not know
 */
bool
virDomainPCIHintsUnknown(const virDomainPCIHints *hints)
{
    size_t i;

    for (i = 0; i < VIR_DOMAIN_PCI_HINT_LAST; i++) {
        if (hints->unknown[i])
            return true;
    }

    return false;
}


/**
 * virDomainPCIHintsGiven:
 * @hints: hints of a device
 *
 * Returns: true if there are any
 */
bool
virDomainPCIHintsGiven(const virDomainPCIHints *hints)
{
    return hints->hotpluggable != VIR_TRISTATE_BOOL_ABSENT ||
        hints->busHint != VIR_DOMAIN_PCI_BUS_HINT_DEFAULT ||
        hints->hasConnection ||
        hints->hasNode ||
        hints->group ||
        virDomainPCIHintsUnknown(hints);
}


/**
 * virDomainPCIHintsNode:
 * @hints: hints of a device
 *
 * Returns: NUMA node of the guest that the device is to be near to, -1: none
 */
int
virDomainPCIHintsNode(const virDomainPCIHints *hints)
{
    return hints->hasNode ? (int)hints->node : -1;
}


/**
 * virDomainPCIHintsEqual:
 * @a: hints of a device
 * @b: hints of another
 *
 * Returns: true if they ask for the same
 */
bool
virDomainPCIHintsEqual(const virDomainPCIHints *a,
                       const virDomainPCIHints *b)
{
    return a->hotpluggable == b->hotpluggable &&
        a->busHint == b->busHint &&
        a->hasConnection == b->hasConnection &&
        a->connection == b->connection &&
        virDomainPCIHintsNode(a) == virDomainPCIHintsNode(b) &&
        a->group == b->group &&
        memcmp(a->unknown, b->unknown, sizeof(a->unknown)) == 0;
}


/* Takes one attribute at its word. Returns false if it has no such value. */
static bool
virDomainPCIHintsApply(virDomainPCIHints *hints,
                       virDomainPCIHint which,
                       const char *value)
{
    int num = -1;

    switch (which) {
    case VIR_DOMAIN_PCI_HINT_HOTPLUGGABLE:
        if ((num = virTristateBoolTypeFromString(value)) > 0)
            hints->hotpluggable = num;
        return num > 0;

    case VIR_DOMAIN_PCI_HINT_BUS:
        if ((num = virDomainPCIBusHintTypeFromString(value)) > 0)
            hints->busHint = num;
        return num > 0;

    case VIR_DOMAIN_PCI_HINT_CONNECTION:
        if ((num = virDomainControllerModelPCITypeFromString(value)) >= 0) {
            hints->connection = num;
            hints->hasConnection = true;
        }
        return num >= 0;

    case VIR_DOMAIN_PCI_HINT_NODE:
        if (virStrToLong_uip(value, NULL, 10, &hints->node) == 0)
            hints->hasNode = hints->node <= INT_MAX;
        return hints->hasNode;

    case VIR_DOMAIN_PCI_HINT_GROUP:
        if (*value)
            hints->group = g_intern_string(value);
        return *value;

    case VIR_DOMAIN_PCI_HINT_LAST:
        break;
    }

    return false;
}


static int
virDomainPCIHintsParseOne(xmlNodePtr address,
                          virDomainPCIHint which,
                          bool strict,
                          virDomainPCIHints *hints)
{
    g_autofree char *value = virXMLPropString(address, virDomainPCIHintTypeToString(which));

    if (!value || virDomainPCIHintsApply(hints, which, value))
        return 0;

    if (strict) {
        virReportError(VIR_ERR_XML_ERROR,
                       _("Invalid value for attribute '%1$s' in element '%2$s': '%3$s'"),
                       virDomainPCIHintTypeToString(which), address->name, value);
        return -1;
    }

    hints->unknown[which] = g_intern_string(value);
    return 0;
}


/**
 * virDomainPCIHintsParseXML:
 * @address: <address> element of a device, or NULL
 * @isPCI: it is of type 'pci'
 * @strict: refuse what is not understood
 * @hints: filled with the hints
 *
 * If not @strict, values that are not understood are kept but have no effect.
 * This is for definitions that were accepted before, perhaps by another build:
 * they must not vanish.
 *
 * Returns: 0 on success, -1 with VIR_ERR_XML_ERROR reported
 */
int
virDomainPCIHintsParseXML(xmlNodePtr address,
                          bool isPCI,
                          bool strict,
                          virDomainPCIHints *hints)
{
    size_t i;

    memset(hints, 0, sizeof(*hints));

    for (i = 0; address && i < VIR_DOMAIN_PCI_HINT_LAST; i++) {
        if (virDomainPCIHintsParseOne(address, i, strict, hints) < 0)
            return -1;
    }

    if (!isPCI && virDomainPCIHintsGiven(hints)) {
        virReportError(VIR_ERR_XML_ERROR, "%s",
                       _("'hotpluggable', 'busHint', 'preferredConnection', 'node' and 'group' are only supported for addresses of type 'pci' of devices"));
        return -1;
    }

    return 0;
}


/**
 * virDomainPCIHintsRefuse:
 * @address: an <address> element that is not the place of a device in the
 *           guest
 *
 * Returns: 0 if it has no hints, -1 with VIR_ERR_XML_ERROR reported
 */
int
virDomainPCIHintsRefuse(xmlNodePtr address)
{
    virDomainPCIHints hints;

    return virDomainPCIHintsParseXML(address, false, true, &hints);
}


/* How @which is written, NULL if it is not given; to be freed by the caller */
static char *
virDomainPCIHintsValue(const virDomainPCIHints *hints,
                       virDomainPCIHint which)
{
    switch (which) {
    case VIR_DOMAIN_PCI_HINT_HOTPLUGGABLE:
        if (hints->hotpluggable != VIR_TRISTATE_BOOL_ABSENT)
            return g_strdup(virTristateBoolTypeToString(hints->hotpluggable));
        break;

    case VIR_DOMAIN_PCI_HINT_BUS:
        if (hints->busHint != VIR_DOMAIN_PCI_BUS_HINT_DEFAULT)
            return g_strdup(virDomainPCIBusHintTypeToString(hints->busHint));
        break;

    case VIR_DOMAIN_PCI_HINT_CONNECTION:
        if (hints->hasConnection)
            return g_strdup(virDomainControllerModelPCITypeToString(hints->connection));
        break;

    case VIR_DOMAIN_PCI_HINT_NODE:
        if (hints->hasNode)
            return g_strdup_printf("%u", hints->node);
        break;

    case VIR_DOMAIN_PCI_HINT_GROUP:
        if (hints->group)
            return g_strdup(hints->group);
        break;

    case VIR_DOMAIN_PCI_HINT_LAST:
        break;
    }

    return g_strdup(hints->unknown[which]);
}


/**
 * virDomainPCIHintsFormat:
 * @attrBuf: buffer with the attributes of an <address> element
 * @hints: hints of the device
 */
void
virDomainPCIHintsFormat(virBuffer *attrBuf,
                        const virDomainPCIHints *hints)
{
    size_t i;

    for (i = 0; i < VIR_DOMAIN_PCI_HINT_LAST; i++) {
        g_autofree char *value = virDomainPCIHintsValue(hints, i);

        if (!value)
            continue;

        virBufferAsprintf(attrBuf, " %s=", virDomainPCIHintTypeToString(i));
        virBufferEscapeString(attrBuf, "'%s'", value);
    }
}
