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

#define VIR_FROM_THIS VIR_FROM_DOMAIN

VIR_ENUM_IMPL(virDomainPCIBusHint,
              VIR_DOMAIN_PCI_BUS_HINT_LAST,
              "default",
              "pci",
              "pcie",
);


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
        hints->hasConnection;
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
        a->connection == b->connection;
}


static int
virDomainPCIHintsParseConnection(xmlNodePtr address,
                                 virDomainPCIHints *hints)
{
    g_autofree char *model = virXMLPropString(address, "preferredConnection");

    if (!model)
        return 0;

    if ((hints->connection = virDomainControllerModelPCITypeFromString(model)) < 0) {
        virReportError(VIR_ERR_XML_ERROR,
                       _("invalid value for attribute 'preferredConnection' of <address>: '%1$s' is not a model of PCI controllers"),
                       model);
        return -1;
    }

    hints->hasConnection = true;
    return 0;
}


/**
 * virDomainPCIHintsParseXML:
 * @address: <address> element of a device
 * @isPCI: it is of type 'pci'
 * @hints: filled with the hints
 *
 * Returns: 0 on success, -1 with VIR_ERR_XML_ERROR reported
 */
int
virDomainPCIHintsParseXML(xmlNodePtr address,
                          bool isPCI,
                          virDomainPCIHints *hints)
{
    memset(hints, 0, sizeof(*hints));

    if (virXMLPropTristateBool(address, "hotpluggable", VIR_XML_PROP_NONE,
                               &hints->hotpluggable) < 0 ||
        virXMLPropEnum(address, "busHint", virDomainPCIBusHintTypeFromString,
                       VIR_XML_PROP_NONZERO, &hints->busHint) < 0 ||
        virDomainPCIHintsParseConnection(address, hints) < 0)
        return -1;

    if (!isPCI && virDomainPCIHintsGiven(hints)) {
        virReportError(VIR_ERR_XML_ERROR, "%s",
                       _("'hotpluggable', 'busHint' and 'preferredConnection' are only supported for addresses of type 'pci' of devices"));
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

    return virDomainPCIHintsParseXML(address, false, &hints);
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
    if (hints->hotpluggable != VIR_TRISTATE_BOOL_ABSENT) {
        virBufferAsprintf(attrBuf, " hotpluggable='%s'",
                          virTristateBoolTypeToString(hints->hotpluggable));
    }

    if (hints->busHint != VIR_DOMAIN_PCI_BUS_HINT_DEFAULT) {
        virBufferAsprintf(attrBuf, " busHint='%s'",
                          virDomainPCIBusHintTypeToString(hints->busHint));
    }

    if (hints->hasConnection) {
        virBufferAsprintf(attrBuf, " preferredConnection='%s'",
                          virDomainControllerModelPCITypeToString(hints->connection));
    }
}
