/*
 * qemu_pci_attach.c: PCI places of devices that come to a guest later
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A device that is attached to a running guest, or to its persistent
 * definition as well, or that takes the place of another in an update. Nothing
 * is added for it: it finds a free slot, or is refused.
 */

#include <config.h>

#include "qemu_pci_attach.h"
#include "qemu_pci_nodes.h"
#include "qemu_pci_request.h"
#include "qemu_domain_address.h"
#include "domain_pci_controllers.h"
#include "domain_pci_count.h"
#include "domain_pci_groups.h"
#include "domain_pci_topology.h"
#include "virerror.h"
#include "virlog.h"

#define VIR_FROM_THIS VIR_FROM_QEMU

VIR_LOG_INIT("qemu.qemu_pci_attach");


/* The request of a device that is attached to a running guest. A conventional
 * device for which there is no slot, and for which the user asked none, may
 * use a PCI Express slot: QEMU takes it there as well. Such devices have I/O
 * BARs (virtio only if it is transitional, which is conventional then). */
static void
qemuPCIAttachRequest(virDomainPCISlotRequest *req,
                     virDomainPCIAddressSet *addrs,
                     virDomainDef *def,
                     const virDomainDeviceInfo *info)
{
    /* members have come and gone */
    virDomainPCIGroupsCollect(addrs, def);
    virDomainPCISlotRequestInit(req, addrs, info,
                                info->pciConnectFlags | VIR_PCI_CONNECT_HOTPLUGGABLE);

    req->thrifty = true;
    req->io = !(info->pciConnectFlags & VIR_PCI_CONNECT_TYPE_PCIE_DEVICE);
    if (info->pciHints.busHint == VIR_DOMAIN_PCI_BUS_HINT_DEFAULT)
        req->fallback = VIR_PCI_CONNECT_TYPE_PCIE_DEVICE;
}


/* Finds a free slot for @dev, or reports nothing. A device of the host whose
 * place the user has left to us is near to its memory if that is possible. */
static int
qemuPCIAttachFindSlot(virDomainPCIAddressSet *addrs,
                      const virDomainDef *def,
                      const virDomainDeviceDef *dev,
                      virDomainPCISlotRequest *req,
                      virPCIDeviceAddress *addr)
{
    int node = -1;

    if (dev->type == VIR_DOMAIN_DEVICE_HOSTDEV && req->node < 0 && !req->group &&
        qemuPCINodesFindHostdev(def, dev->data.hostdev, &node) < 0)
        return -1;

    if (node >= 0) {
        req->node = node;
        if (virDomainPCITopologyFindSlot(addrs, req, addr))
            return 1;

        VIR_WARN("No free PCI slot near NUMA cell %d for a host device of it", node);
        req->node = -1;
    }

    return virDomainPCITopologyFindSlot(addrs, req, addr);
}


/* Writes down an address, and leaves alone what belongs to the device */
static void
qemuPCIAttachSetAddress(virDomainDeviceInfo *info,
                        const virPCIDeviceAddress *addr)
{
    info->type = VIR_DOMAIN_DEVICE_ADDRESS_TYPE_PCI;
    info->addr.pci.domain = addr->domain;
    info->addr.pci.bus = addr->bus;
    info->addr.pci.slot = addr->slot;
    info->addr.pci.function = addr->function;
    info->addr.pci.multi = addr->multi;
}


/* Says why nothing can be attached, and what to do about it */
static void
qemuPCIAttachReportNoSlot(virDomainPCIAddressSet *addrs,
                          const virDomainDeviceDef *dev,
                          const virDomainPCISlotRequest *req)
{
    const char *kind = virDomainPCISlotRequestKind(req);
    const virDomainPCIGroup *group = virDomainPCIGroupsGet(addrs, req->group);
    const char *preference = virDomainPreferenceTypeToString(qemuPCIRequestPreference(req));
    g_autofree char *name = virDomainPCIDeviceName(dev);
    virDomainPCICensus census;

    virDomainPCICountSlots(addrs, req, &census);

    if (group && group->share != VIR_DOMAIN_PCI_GROUP_SLOT && census.unpluggable > 0) {
        virReportError(VIR_ERR_OPERATION_FAILED,
                       _("No more available PCI slots: %1$s needs a hotpluggable %2$s slot of group '%3$s', and the slots of its host bridge do not support hotplug"),
                       name, kind, group->name);
    } else if (group && group->share != VIR_DOMAIN_PCI_GROUP_SLOT) {
        virReportError(VIR_ERR_OPERATION_FAILED,
                       _("No more available PCI slots: %1$s needs a hotpluggable %2$s slot of group '%3$s', and none is free; %4$s cannot be added to a running guest, more can be kept with 'spare' of preference 'pciGroup' in the persistent definition"),
                       name, kind, group->name,
                       group->share == VIR_DOMAIN_PCI_GROUP_SWITCH ?
                       _("downstream ports") : _("PCI controllers"));
    } else if (req->model >= 0) {
        const char *model = virDomainControllerModelPCITypeToString(req->model);

        virReportError(VIR_ERR_OPERATION_FAILED,
                       _("No more available PCI slots: %1$s needs a hotpluggable slot of a PCI controller model='%2$s', but of %3$zu that the guest has %4$zu are in use; controllers of this model have to be listed in the persistent definition"),
                       name, model, census.total, census.used);
    } else if (req->node >= 0) {
        virReportError(VIR_ERR_OPERATION_FAILED,
                       _("No more available PCI slots: %1$s needs a hotpluggable %2$s slot below a host bridge of NUMA node %3$d, and the guest has none that is free; more can be had with preference '%4$s' and its node='%3$d' in the persistent definition"),
                       name, kind, req->node, preference);
    } else if (req->isolationGroup) {
        virReportError(VIR_ERR_OPERATION_FAILED,
                       _("No more available PCI slots: %1$s needs a hotpluggable %2$s slot on a root bus of its isolation group, or on an empty one, and the guest has none; a PCI controller model='pci-root' has to be listed in the persistent definition"),
                       name, kind);
    } else if (census.unpluggable > 0) {
        virReportError(VIR_ERR_OPERATION_FAILED,
                       _("No more available PCI slots: %1$s needs a hotpluggable %2$s slot, but of %3$zu that the guest has %4$zu are in use, and %5$zu without hotplug were passed over; more can be had with preference '%6$s' in the persistent definition"),
                       name, kind, census.total, census.used,
                       census.unpluggable, preference);
    } else {
        virReportError(VIR_ERR_OPERATION_FAILED,
                       _("No more available PCI slots: %1$s needs a hotpluggable %2$s slot, but of %3$zu that the guest has %4$zu are in use; more can be had with preference '%5$s' in the persistent definition"),
                       name, kind, census.total, census.used, preference);
    }
}


/**
 * qemuPCIAttachFindPlace:
 * @addrs: address set of a running guest
 * @qemuCaps: capabilities of the QEMU binary
 * @def: its definition
 * @dev: device that is to be attached, with its connect flags
 *
 * Gives @dev the address of a free slot that can be what is asked for; nothing
 * is reserved. A device that comes with an address keeps it.
 *
 * Returns: 0 on success, also if @dev takes no PCI address; -1 with
 *          VIR_ERR_OPERATION_FAILED (no slot), VIR_ERR_OPERATION_UNSUPPORTED
 *          or VIR_ERR_CONFIG_UNSUPPORTED (hints) reported
 */
int
qemuPCIAttachFindPlace(virDomainPCIAddressSet *addrs,
                       virQEMUCaps *qemuCaps,
                       virDomainDef *def,
                       virDomainDeviceDef *dev)
{
    virDomainDeviceInfo *info = virDomainDeviceGetInfo(dev);
    virDomainPCISlotRequest req;
    virPCIDeviceAddress addr = { 0 };
    int rc;

    if (!info->pciConnectFlags)
        return 0;

    if (qemuPCIRequestIsVIO(dev)) {
        g_autofree char *name = virDomainPCIDeviceName(dev);

        virReportError(VIR_ERR_OPERATION_UNSUPPORTED,
                       _("%1$s cannot be attached to a running guest: it is not a PCI device, and the VIO bus has no hotplug"),
                       name);
        return -1;
    }

    if (info->pciHints.hotpluggable == VIR_TRISTATE_BOOL_NO)
        return qemuPCIRequestRefuse(dev, _("a device with hotpluggable='no' cannot be attached to a running guest"));

    if (qemuPCIRequestCheck(dev, info, def, qemuCaps) < 0)
        return -1;

    qemuPCIAttachRequest(&req, addrs, def, info);

    if (virDomainPCIGroupsHaveSlot(addrs, &req)) {
        g_autofree char *name = virDomainPCIDeviceName(dev);

        virReportError(VIR_ERR_OPERATION_UNSUPPORTED,
                       _("%1$s cannot be attached to a running guest: it has to be a function of the slot of group '%2$s', which is occupied"),
                       name, req.group);
        return -1;
    }

    if (virDeviceInfoPCIAddressIsPresent(info))
        return qemuPCIRequestCheckPlace(dev, info, addrs);

    if ((rc = qemuPCIAttachFindSlot(addrs, def, dev, &req, &addr)) <= 0) {
        if (rc == 0)
            qemuPCIAttachReportNoSlot(addrs, dev, &req);
        return -1;
    }

    qemuPCIAttachSetAddress(info, &addr);
    return 0;
}


/**
 * qemuPCIAttachPlaceAsLive:
 * @vm: a running domain
 * @vmdef: copy of its persistent definition
 * @dev: device that is to be attached to both
 *
 * Gives @dev the address that it will get in the running guest, if that is
 * free in the persistent definition. Otherwise, and if @dev comes with an
 * address or takes none, it does nothing.
 *
 * Returns: 0 on success, -1 with an error reported
 */
int
qemuPCIAttachPlaceAsLive(virDomainObj *vm,
                         virDomainDef *vmdef,
                         virDomainDeviceDef *dev)
{
    qemuDomainObjPrivate *priv = vm->privateData;
    virDomainDeviceInfo *info = virDomainDeviceGetInfo(dev);
    g_autoptr(virDomainPCIAddressSet) config = NULL;
    virDomainPCIAddressSet *live = priv->pciaddrs;
    virDomainPCISlotRequest req;
    virPCIDeviceAddress addr = { 0 };
    int rc;

    if (!info || !live || !virDeviceInfoPCIAddressIsWanted(info) ||
        (qemuDomainIsS390CCW(vmdef) && info->type != VIR_DOMAIN_DEVICE_ADDRESS_TYPE_PCI))
        return 0;

    qemuDomainFillDevicePCIConnectFlags(vm->def, dev, priv->qemuCaps, priv->driver);
    if (!info->pciConnectFlags || qemuPCIRequestIsVIO(dev))
        return 0;

    if (qemuPCIPolicyGet(vm->def)->isolate)
        qemuDomainFillDeviceIsolationGroup(vm->def, dev);

    /* what is refused for the running guest needs no place like it */
    qemuPCIAttachRequest(&req, live, vm->def, info);
    if (virDomainPCIGroupsHaveSlot(live, &req))
        return 0;

    if ((rc = qemuPCIAttachFindSlot(live, vm->def, dev, &req, &addr)) <= 0)
        return rc;

    if (!(config = qemuDomainPCIAddressSetCreate(vmdef, priv->qemuCaps,
                                                 virDomainPCIControllersCountBuses(vmdef),
                                                 NULL, false)))
        return -1;

    if (addr.bus < config->nbuses &&
        config->buses[addr.bus].model == live->buses[addr.bus].model &&
        virDomainPCIGroupsFit(config, &req, addr.bus) &&
        !virDomainPCIGroupsHaveSlot(config, &req) &&
        !virDomainPCIAddressSlotInUse(config, &addr))
        qemuPCIAttachSetAddress(info, &addr);

    return 0;
}


/**
 * qemuPCIUpdateKeepPlace:
 * @def: persistent definition
 * @qemuCaps: capabilities of the QEMU binary
 * @oldDev: device of @def
 * @dev: what it is to be replaced with
 *
 * Carries the PCI address over where the update leaves it out, takes one as
 * well, and does not ask for another kind of place; and refuses hints as
 * define does.
 *
 * Returns: 0 on success, -1 with VIR_ERR_CONFIG_UNSUPPORTED reported
 */
int
qemuPCIUpdateKeepPlace(virDomainDef *def,
                       virQEMUCaps *qemuCaps,
                       const virDomainDeviceDef *oldDev,
                       virDomainDeviceDef *dev)
{
    virDomainDeviceInfo *oldInfo = virDomainDeviceGetInfo(oldDev);
    virDomainDeviceInfo *info = virDomainDeviceGetInfo(dev);
    bool given = virDomainPCIHintsGiven(&info->pciHints);
    bool sameKind;

    qemuDomainFillDevicePCIConnectFlags(def, dev, qemuCaps, NULL);

    /* a disk that moves to another bus leaves its place */
    sameKind = info->pciConnectFlags && !qemuPCIRequestIsVIO(dev) &&
        (dev->type != VIR_DOMAIN_DEVICE_DISK ||
         dev->data.disk->bus == oldDev->data.disk->bus) &&
        (!given || virDomainPCIHintsEqual(&info->pciHints, &oldInfo->pciHints));

    if (sameKind &&
        virDeviceInfoPCIAddressIsPresent(oldInfo) &&
        virDeviceInfoPCIAddressIsWanted(info)) {
        if (!virZPCIDeviceAddressIsPresent(&info->addr.pci.zpci))
            info->addr.pci.zpci = oldInfo->addr.pci.zpci;
        qemuPCIAttachSetAddress(info, &oldInfo->addr.pci);
        info->pciHints = oldInfo->pciHints;
    }

    if (given) {
        g_autoptr(virDomainPCIAddressSet) addrs = NULL;

        if (virDomainPCIHintsUnknown(&info->pciHints) &&
            !virDomainPCIHintsEqual(&info->pciHints, &oldInfo->pciHints))
            return qemuPCIRequestRefuse(dev, _("an attribute has a value that is not known"));

        if (!(addrs = qemuDomainPCIAddressSetCreate(def, qemuCaps,
                                                    virDomainPCIControllersCountBuses(def),
                                                    NULL, false)) ||
            qemuPCIRequestCheck(dev, info, def, qemuCaps) < 0 ||
            qemuPCIRequestCheckPlace(dev, info, addrs) < 0)
            return -1;
    }

    return 0;
}


/**
 * qemuPCIAttachNameUser:
 * @dev: device for which another one could not be attached
 *
 * Adds to the last error what the other device was needed for.
 */
void
qemuPCIAttachNameUser(const virDomainDeviceDef *dev)
{
    g_autofree char *name = virDomainPCIDeviceName(dev);
    g_autoptr(virError) error = virSaveLastError();

    /* str1 is the format, str2 what it was filled in with */
    if (!error || error->code != VIR_ERR_OPERATION_FAILED || !error->str2)
        return;

    virReportError(error->code, _("%1$s; it is needed for %2$s"), error->str2, name);
}
