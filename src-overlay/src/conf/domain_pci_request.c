/*
 * domain_pci_request.c: what a device asks of the slot it is to be given
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Requests are made here and nowhere else: for a device, for a PCI controller,
 * for a slot that is to stay free. The hypervisor driver has put what it and
 * the user want into the info of the device before.
 */

#include <config.h>

#include "domain_pci_groups.h"
#include "virerror.h"

#define VIR_FROM_THIS VIR_FROM_DOMAIN


/**
 * virDomainPCISlotRequestInit:
 * @req: request to fill
 * @addrs: address set
 * @info: info of a device, with its isolation group and hints
 * @flags: connect flags of the device
 */
void
virDomainPCISlotRequestInit(virDomainPCISlotRequest *req,
                            virDomainPCIAddressSet *addrs,
                            const virDomainDeviceInfo *info,
                            virDomainPCIConnectFlags flags)
{
    *req = (virDomainPCISlotRequest) {
        .flags = flags,
        .model = info->pciHints.hasConnection ? info->pciHints.connection : -1,
        .isolationGroup = info->isolationGroup,
        .node = virDomainPCIHintsNode(&info->pciHints),
        .function = -1,
        .controller = VIR_DOMAIN_PCI_ENDPOINT,
        .info = info,
    };

    virDomainPCIGroupsInitRequest(req, addrs, info->pciHints.group);
}


/**
 * virDomainPCISlotRequestInitController:
 * @req: request to fill
 * @model: model of a PCI controller
 * @idx: its index
 *
 * PCI controllers are of no isolation group: a PHB that has one takes the
 * devices of the group and nothing else.
 */
void
virDomainPCISlotRequestInitController(virDomainPCISlotRequest *req,
                                      virDomainControllerModelPCI model,
                                      size_t idx)
{
    *req = (virDomainPCISlotRequest) {
        .flags = virDomainPCIControllerModelToConnectType(model),
        .model = -1,
        .node = -1,
        .function = -1,
        .controller = idx,
    };
}


/**
 * virDomainPCISlotRequestInitFree:
 * @req: request to fill
 * @flags: type of the slot that is to stay free, and whether it has to be
 *         hotpluggable
 *
 * What a device of no particular kind would ask that comes later.
 */
void
virDomainPCISlotRequestInitFree(virDomainPCISlotRequest *req,
                                virDomainPCIConnectFlags flags)
{
    *req = (virDomainPCISlotRequest) {
        .flags = flags | VIR_PCI_CONNECT_AUTOASSIGN,
        .model = -1,
        .node = -1,
        .function = -1,
        .controller = VIR_DOMAIN_PCI_ENDPOINT,
        .nslots = 1,
        .thrifty = true,
    };
}


/**
 * virDomainPCIDeviceName:
 * @dev: a device, which may have no alias yet
 *
 * Returns: what a person would call it, to be freed by the caller
 */
char *
virDomainPCIDeviceName(const virDomainDeviceDef *dev)
{
    const char *type = virDomainDeviceTypeToString(dev->type);
    char mac[VIR_MAC_STRING_BUFLEN];

    if (dev->type == VIR_DOMAIN_DEVICE_DISK)
        return g_strdup_printf("%s '%s'", type, dev->data.disk->dst);

    if (dev->type == VIR_DOMAIN_DEVICE_NET) {
        return g_strdup_printf("interface '%s'",
                               virMacAddrFormat(&dev->data.net->mac, mac));
    }

    if (dev->type == VIR_DOMAIN_DEVICE_CONTROLLER) {
        return g_strdup_printf("%s type='%s' index='%d'", type,
                               virDomainControllerTypeToString(dev->data.controller->type),
                               dev->data.controller->idx);
    }

    return g_strdup(type);
}


typedef struct {
    const virDomainDeviceInfo *info;
    char *name;
} virDomainPCINamed;


static int
virDomainPCIDeviceNameIter(virDomainDef *def G_GNUC_UNUSED,
                           virDomainDeviceDef *dev,
                           virDomainDeviceInfo *info,
                           void *opaque)
{
    virDomainPCINamed *named = opaque;

    if (info != named->info)
        return 0;

    named->name = virDomainPCIDeviceName(dev);
    return -1; /* found, no error */
}


/**
 * virDomainPCIDeviceNameByInfo:
 * @def: domain definition, or NULL
 * @info: info of one of its devices, or NULL
 *
 * Returns: what a person would call the device, to be freed by the caller
 */
char *
virDomainPCIDeviceNameByInfo(virDomainDef *def,
                             const virDomainDeviceInfo *info)
{
    virDomainPCINamed named = { .info = info };

    if (def && info)
        ignore_value(virDomainDeviceInfoIterate(def, virDomainPCIDeviceNameIter, &named));

    return named.name ? named.name : g_strdup(_("a device"));
}


/**
 * virDomainPCISlotRequestKind:
 * @req: request of an endpoint
 *
 * Returns: the kind of slot that suits it best, for a message
 */
const char *
virDomainPCISlotRequestKind(const virDomainPCISlotRequest *req)
{
    return req->flags & VIR_PCI_CONNECT_TYPE_PCIE_DEVICE ?
        _("PCI Express") : _("conventional PCI");
}


/**
 * virDomainPCISlotRequestRefuse:
 * @req: request for which there is no slot, and no controllers that lead to one
 * @def: domain definition, or NULL
 * @addrs: its address set
 *
 * Reports what is missing: VIR_ERR_INTERNAL_ERROR for a PCI controller, as
 * clients know it, VIR_ERR_CONFIG_UNSUPPORTED for other devices.
 */
void
virDomainPCISlotRequestRefuse(const virDomainPCISlotRequest *req,
                              virDomainDef *def,
                              virDomainPCIAddressSet *addrs)
{
    g_autofree char *name = virDomainPCIDeviceNameByInfo(def, req->info);
    const char *kind = virDomainPCISlotRequestKind(req);

    if (req->controller != VIR_DOMAIN_PCI_ENDPOINT) {
        virDomainControllerModelPCI model = addrs->buses[req->controller].model;

        virReportError(VIR_ERR_INTERNAL_ERROR,
                       _("a PCI slot is needed to connect a PCI controller model='%1$s', but none is available, and it cannot be automatically added"),
                       virDomainControllerModelPCITypeToString(model));
    } else if (virDomainPCIGroupsHaveSlot(addrs, req)) {
        virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                       _("No more available PCI slots: %1$s has to be a function of the slot of group '%2$s', but that has no free function that suits it"),
                       name, req->group);
    } else if (req->group) {
        virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                       _("No more available PCI slots: %1$s needs a free %2$s slot of group '%3$s', and no PCI controller that has one can be added"),
                       name, kind, req->group);
    } else if (req->model >= 0) {
        virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                       _("No more available PCI slots: %1$s asks for preferredConnection='%2$s', but no such PCI controller has a free slot and none can be added"),
                       name, virDomainControllerModelPCITypeToString(req->model));
    } else if (req->flags & VIR_PCI_CONNECT_INTEGRATED) {
        virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                       _("No more available PCI slots: %1$s must be on the root bus, because it is integrated or not hotpluggable, but the root bus is full"),
                       name);
    } else if (req->node >= 0) {
        virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                       _("No more available PCI slots: %1$s needs a free %2$s slot below a host bridge of NUMA node %3$d, and no PCI controller that has one can be added"),
                       name, kind, req->node);
    } else if (addrs->nbuses >= VIR_DOMAIN_PCI_BUSES_MAX) {
        virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                       _("No more available PCI slots: %1$s needs a free %2$s slot, and the guest has all %3$d PCI buses that are possible"),
                       name, kind, VIR_DOMAIN_PCI_BUSES_MAX);
    } else {
        virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                       _("No more available PCI slots: %1$s needs a free %2$s slot, and no PCI controller that has one can be added"),
                       name, kind);
    }
}
