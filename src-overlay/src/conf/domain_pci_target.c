/*
 * domain_pci_target.c: what the series adds to the <target> of a PCI controller
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Its windows, and the group that it was added for.
 */

#include <config.h>

#include "domain_pci_target.h"
#include "domain_conf.h"


/**
 * virDomainPCITargetParseXML:
 * @target: <target> of a PCI controller
 * @opts: options of the controller
 *
 * Returns: 0 on success, -1 with VIR_ERR_XML_ERROR reported
 */
int
virDomainPCITargetParseXML(xmlNodePtr target,
                           virDomainPCIControllerOpts *opts)
{
    g_autofree char *group = virXMLPropString(target, "group");
    virDomainPCIWindows windows;

    if (virDomainPCIWindowsParseXML(target, &windows) < 0)
        return -1;

    virDomainPCIWindowsSet(opts, &windows);
    opts->group = group && *group ? g_intern_string(group) : NULL;
    return 0;
}


/**
 * virDomainPCITargetFormat:
 * @attrBuf: attributes of the <target> of a PCI controller
 * @opts: options of the controller
 * @first: the windows before this one are written already
 */
void
virDomainPCITargetFormat(virBuffer *attrBuf,
                         const virDomainPCIControllerOpts *opts,
                         virDomainPCIWindow first)
{
    virDomainPCIWindows windows;
    size_t i;

    virDomainPCIWindowsGet(opts, &windows);

    for (i = first; i < VIR_DOMAIN_PCI_WINDOW_LAST; i++) {
        if (windows.given[i]) {
            virBufferAsprintf(attrBuf, " %s='%llu'",
                              virDomainPCIWindowTypeToString(i), windows.kib[i]);
        }
    }

    virBufferEscapeString(attrBuf, " group='%s'", opts->group);
}
