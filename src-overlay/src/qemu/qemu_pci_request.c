/*
 * qemu_pci_request.c: what a device of a QEMU guest asks of its PCI slot
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Brings together what suits a device (its connect flags, which libvirt has
 * always known), what the user asks for it or for the domain, and what the
 * machine can do. The result is in the info of the device, from which
 * virDomainPCISlotRequestInit() makes the request for a slot.
 */

#include <config.h>

#include "qemu_pci_request.h"
#include "qemu_pci_nodes.h"
#include "domain_pci_groups.h"
#include "domain_pci_topology.h"
#include "qemu_domain.h"
#include "virerror.h"

#define VIR_FROM_THIS VIR_FROM_QEMU


/**
 * qemuPCIRequestRefuse:
 * @dev: a device
 * @reason: what is wrong with its <address>
 *
 * Returns: -1 with VIR_ERR_CONFIG_UNSUPPORTED reported
 */
int
qemuPCIRequestRefuse(const virDomainDeviceDef *dev,
                     const char *reason)
{
    g_autofree char *name = virDomainPCIDeviceName(dev);

    virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                   _("unsupported <address> of %1$s: %2$s"), name, reason);
    return -1;
}


/* Devices of the chipset come where the chipset has them: that they cannot be
 * hotpluggable is no reason to refuse a guest. */
static bool
qemuPCIRequestIsChipset(const virDomainDeviceDef *dev)
{
    return dev->type == VIR_DOMAIN_DEVICE_CONTROLLER &&
        dev->data.controller->idx == 0 &&
        (dev->data.controller->type == VIR_DOMAIN_CONTROLLER_TYPE_SATA ||
         dev->data.controller->type == VIR_DOMAIN_CONTROLLER_TYPE_IDE);
}


static bool
qemuPCIRequestIsPCIController(const virDomainDeviceDef *dev)
{
    return dev->type == VIR_DOMAIN_DEVICE_CONTROLLER &&
        dev->data.controller->type == VIR_DOMAIN_CONTROLLER_TYPE_PCI;
}


/* Has @dev a place that does not depend on others? The chipset has its places,
 * and the parts of a USB2 controller share a slot of their own. */
static bool
qemuPCIRequestHasOwnPlace(const virDomainDeviceDef *dev)
{
    return qemuPCIRequestIsChipset(dev) ||
        (dev->type == VIR_DOMAIN_DEVICE_CONTROLLER && IS_USB2_CONTROLLER(dev->data.controller));
}


/* The parts of a USB2 controller share a slot with the first of them that has
 * an address or is listed, so only that one can choose. */
static bool
qemuPCIRequestFollows(const virDomainDef *def,
                      const virDomainDeviceDef *dev)
{
    bool listed = false;
    size_t i;

    if (dev->type != VIR_DOMAIN_DEVICE_CONTROLLER ||
        !IS_USB2_CONTROLLER(dev->data.controller))
        return false;

    for (i = 0; i < def->ncontrollers; i++) {
        virDomainControllerDef *cont = def->controllers[i];

        if (cont == dev->data.controller)
            listed = true;
        else if (IS_USB2_CONTROLLER(cont) &&
                 cont->idx == dev->data.controller->idx &&
                 (!listed || virDeviceInfoPCIAddressIsPresent(&cont->info)))
            return true;
    }

    return false;
}


/* Is @info of a device whose group has buses of its own? */
static bool
qemuPCIRequestHasBuses(const virDomainDef *def,
                       const virDomainDeviceInfo *info)
{
    return virDomainPreferencesGetGroup(def->preferences, info->pciHints.group) &&
        !virDomainPCIGroupsIsSlot(def, info);
}


/* Must the slot of @dev be hotpluggable, or must it not? What is said of the
 * device counts; what the domain says is for devices without a place. */
static virTristateBool
qemuPCIRequestHotpluggable(const virDomainDeviceDef *dev,
                           const virDomainDeviceInfo *info,
                           const virDomainDef *def,
                           const virDomainPreferences *prefs)
{
    if (info->pciHints.hotpluggable != VIR_TRISTATE_BOOL_ABSENT)
        return info->pciHints.hotpluggable;

    if (!prefs || info->pciHints.hasConnection || info->pciHints.hasNode ||
        info->pciConnectFlags & VIR_PCI_CONNECT_INTEGRATED ||
        qemuPCIRequestFollows(def, dev) || qemuPCIRequestHasBuses(def, info))
        return VIR_TRISTATE_BOOL_ABSENT;

    if (prefs->hotpluggable == VIR_TRISTATE_BOOL_YES &&
        qemuPCIRequestHasOwnPlace(dev))
        return VIR_TRISTATE_BOOL_ABSENT;

    return prefs->hotpluggable;
}


/* Can @dev become one of the functions of a slot, beside devices that it does
 * not know? A display is looked for at function 0, and a group keeps to
 * itself. */
static bool
qemuPCIRequestSharesSlot(const virDomainDeviceDef *dev,
                         const virDomainDeviceInfo *info,
                         const virDomainDef *def)
{
    return qemuPCIPolicyGet(def)->sharesSlots &&
        dev->type != VIR_DOMAIN_DEVICE_VIDEO &&
        !virDomainPreferencesGetGroup(def->preferences, info->pciHints.group) &&
        !qemuPCIRequestHasOwnPlace(dev);
}


/**
 * qemuPCIRequestApply:
 * @dev: a device
 * @info: its info, with the connect flags that suit it best
 * @def: the definition that it is part of, or will be
 * @prefs: preferences of the domain, or NULL if they do not matter for @dev
 *
 * Changes the connect flags of a device without an address to what the user
 * asks for, for the device or else for all devices. Of one that has an address
 * only what it means for others.
 */
void
qemuPCIRequestApply(const virDomainDeviceDef *dev,
                    virDomainDeviceInfo *info,
                    const virDomainDef *def,
                    const virDomainPreferences *prefs)
{
    const virDomainPCIHints *hints = &info->pciHints;
    virDomainPCIConnectFlags flags = info->pciConnectFlags;
    virTristateBool hotpluggable;

    if (qemuPCIRequestIsPCIController(dev) || !(flags & VIR_PCI_CONNECT_TYPES_ENDPOINT))
        return;

    hotpluggable = qemuPCIRequestHotpluggable(dev, info, def, prefs);

    if (hotpluggable == VIR_TRISTATE_BOOL_NO && qemuPCIRequestSharesSlot(dev, info, def))
        info->pciConnectFlags = flags |= VIR_PCI_CONNECT_SHARE_SLOT;

    if (!virDeviceInfoPCIAddressIsWanted(info))
        return;

    if (hints->hasConnection) {
        flags |= VIR_PCI_CONNECT_TYPES_ENDPOINT;
        flags &= ~VIR_PCI_CONNECT_AUTOASSIGN;
    }

    if (hotpluggable == VIR_TRISTATE_BOOL_NO && !hints->hasConnection)
        flags |= VIR_PCI_CONNECT_TYPES_ENDPOINT | VIR_PCI_CONNECT_INTEGRATED;

    if (hints->busHint != VIR_DOMAIN_PCI_BUS_HINT_DEFAULT) {
        flags &= ~VIR_PCI_CONNECT_TYPES_ENDPOINT;
        flags |= hints->busHint == VIR_DOMAIN_PCI_BUS_HINT_PCIE ?
            VIR_PCI_CONNECT_TYPE_PCIE_DEVICE : VIR_PCI_CONNECT_TYPE_PCI_DEVICE;
    }

    if (hotpluggable == VIR_TRISTATE_BOOL_YES)
        flags |= VIR_PCI_CONNECT_HOTPLUGGABLE;

    info->pciConnectFlags = flags;
}


/**
 * qemuPCIRequestIsVIO:
 * @dev: a device
 *
 * Such devices have an address on the VIO bus of pseries before PCI slots are
 * looked for, but one that is attached or updated comes without.
 *
 * Returns: true if @dev belongs on the VIO bus, though its connect flags say
 *          that it takes a PCI address
 */
bool
qemuPCIRequestIsVIO(const virDomainDeviceDef *dev)
{
    if (dev->type == VIR_DOMAIN_DEVICE_CONTROLLER)
        return dev->data.controller->type == VIR_DOMAIN_CONTROLLER_TYPE_SCSI &&
               dev->data.controller->model == VIR_DOMAIN_CONTROLLER_MODEL_SCSI_IBMVSCSI;

    return dev->type == VIR_DOMAIN_DEVICE_NET &&
           dev->data.net->model == VIR_DOMAIN_NET_MODEL_SPAPR_VLAN;
}


/**
 * qemuPCIRequestPreference:
 * @req: request of an endpoint
 *
 * Returns: the preference that keeps more slots of the kind that suits it best
 */
virDomainPreference
qemuPCIRequestPreference(const virDomainPCISlotRequest *req)
{
    return req->flags & VIR_PCI_CONNECT_TYPE_PCIE_DEVICE ?
        VIR_DOMAIN_PREFERENCE_PCIE_HOTPLUG_SLOTS : VIR_DOMAIN_PREFERENCE_PCI_HOTPLUG_SLOTS;
}


/* Can the device be nowhere but on the root bus? */
static bool
qemuPCIRequestIsOnRoot(const virDomainPCIHints *hints,
                       virDomainPCIConnectFlags flags)
{
    return hints->hotpluggable == VIR_TRISTATE_BOOL_NO ||
        flags & VIR_PCI_CONNECT_INTEGRATED;
}


/* Is the device to be on a root bus that is not one of the host bridges which
 * can be added? */
static bool
qemuPCIRequestPrefersRoot(const virDomainPCIHints *hints,
                          const qemuPCIPolicy *policy)
{
    return hints->hasConnection && virDomainPCIModelIsRoot(hints->connection) &&
        (virDomainControllerModelPCI)hints->connection != policy->nodeHost;
}


/* Do the hints of a device contradict each other? */
static const char *
qemuPCIRequestContradiction(const virDomainPCIHints *hints,
                            virDomainPCIConnectFlags flags,
                            const qemuPCIPolicy *policy)
{
    virDomainPCIConnectFlags slot = VIR_PCI_CONNECT_TYPES_ENDPOINT;
    bool onRoot = qemuPCIRequestIsOnRoot(hints, flags);

    if (hints->busHint == VIR_DOMAIN_PCI_BUS_HINT_PCIE)
        slot = VIR_PCI_CONNECT_TYPE_PCIE_DEVICE;
    else if (hints->busHint == VIR_DOMAIN_PCI_BUS_HINT_PCI)
        slot = VIR_PCI_CONNECT_TYPE_PCI_DEVICE;

    if (hints->hotpluggable == VIR_TRISTATE_BOOL_YES &&
        flags & VIR_PCI_CONNECT_INTEGRATED &&
        policy->root == VIR_DOMAIN_CONTROLLER_MODEL_PCIE_ROOT)
        return _("hotpluggable='yes' is not possible for a device that is integrated into the root bus");

    if (hints->busHint == VIR_DOMAIN_PCI_BUS_HINT_PCIE &&
        policy->expressSlot != VIR_PCI_CONNECT_TYPE_PCIE_DEVICE)
        return _("busHint='pcie' is not possible because the machine type has no PCI Express slots");

    if (onRoot && !(slot & policy->expressSlot))
        return _("busHint='pci' contradicts a place on the PCI Express root bus");

    if (hints->hasNode &&
        (onRoot || qemuPCIRequestPrefersRoot(hints, policy)))
        return _("a place on the root bus contradicts 'node'");

    if (!hints->hasConnection)
        return NULL;

    if (!virDomainPCIModelOffers(hints->connection, VIR_PCI_CONNECT_TYPES_ENDPOINT) &&
        hints->connection != VIR_DOMAIN_CONTROLLER_MODEL_PCIE_ROOT)
        return _("the controller model of 'preferredConnection' takes no such device");

    if (!virDomainPCIModelOffers(hints->connection, slot))
        return _("'busHint' contradicts 'preferredConnection'");

    if (hints->hotpluggable == VIR_TRISTATE_BOOL_YES &&
        !virDomainPCIModelOffers(hints->connection,
                                 slot | VIR_PCI_CONNECT_HOTPLUGGABLE))
        return _("hotpluggable='yes' contradicts 'preferredConnection'");

    if (onRoot && (virDomainControllerModelPCI)hints->connection != policy->root)
        return _("a place on the root bus contradicts 'preferredConnection'");

    return NULL;
}


/* Is @dev given a certain slot of the root bus, whatever it asks for? */
static bool
qemuPCIRequestIsFixed(const virDomainDeviceDef *dev,
                      const virDomainDef *def)
{
    return qemuPCIRequestHasOwnPlace(dev) ||
        (dev->type == VIR_DOMAIN_DEVICE_VIDEO && ARCH_IS_X86(def->os.arch) &&
         def->nvideos > 0 && dev->data.video == def->videos[0]) ||
        (dev->type == VIR_DOMAIN_DEVICE_SOUND && qemuDomainIsQ35(def) &&
         dev->data.sound->model == VIR_DOMAIN_SOUND_MODEL_ICH9);
}


/* Is no controller of the preferred model ever below the head of @group? */
static bool
qemuPCIRequestLeavesGroup(const virDomainPCIHints *hints,
                          const virDomainPCIGroup *group,
                          const qemuPCIPolicy *policy)
{
    virDomainControllerModelPCI model = hints->connection;

    if (!hints->hasConnection)
        return false;

    /* the bridge is on the root bus of q35, whomever it is for */
    if (model == VIR_DOMAIN_CONTROLLER_MODEL_DMI_TO_PCI_BRIDGE)
        return true;

    if (group->share == VIR_DOMAIN_PCI_GROUP_SWITCH)
        return model == VIR_DOMAIN_CONTROLLER_MODEL_PCIE_ROOT_PORT ||
            virDomainPCIModelIsHostBridge(model);

    return qemuPCIRequestPrefersRoot(hints, policy);
}


/* What is wrong with the group of a device? */
static const char *
qemuPCIRequestGroupProblem(const virDomainDeviceDef *dev,
                           const virDomainDeviceInfo *info,
                           const virDomainDef *def,
                           const qemuPCIPolicy *policy)
{
    const virDomainPCIHints *hints = &info->pciHints;
    const virDomainPCIGroup *group = virDomainPreferencesGetGroup(def->preferences, hints->group);

    if (!hints->group)
        return NULL;

    if (!group)
        return _("no preference 'pciGroup' declares its 'group'");

    if (hints->hasNode && virDomainPCIHintsNode(hints) != group->node)
        return _("'node' contradicts 'group', whose declaration says where its devices are");

    if (qemuPCIRequestIsFixed(dev, def))
        return _("the device has a place of its own, and cannot be in a group");

    if (group->share != VIR_DOMAIN_PCI_GROUP_SLOT) {
        if (qemuPCIRequestIsOnRoot(hints, info->pciConnectFlags))
            return _("a place on the root bus contradicts 'group'");

        return qemuPCIRequestLeavesGroup(hints, group, policy) ?
            _("'preferredConnection' contradicts 'group'") : NULL;
    }

    if (hints->hotpluggable == VIR_TRISTATE_BOOL_YES)
        return _("hotpluggable='yes' is not possible for a device that shares its slot");

    if (info->addr.pci.multi == VIR_TRISTATE_SWITCH_OFF)
        return _("multifunction='off' contradicts 'group', which shares a slot");

    return NULL;
}


/**
 * qemuPCIRequestCheck:
 * @dev: a device
 * @info: its info, with its connect flags
 * @def: the definition that it is part of, or will be
 * @qemuCaps: capabilities of the QEMU binary
 *
 * Refuses hints that contradict each other, the device or the machine.
 *
 * Returns: 0 on success, -1 with VIR_ERR_CONFIG_UNSUPPORTED reported
 */
int
qemuPCIRequestCheck(const virDomainDeviceDef *dev,
                    const virDomainDeviceInfo *info,
                    const virDomainDef *def,
                    virQEMUCaps *qemuCaps)
{
    const qemuPCIPolicy *policy = qemuPCIPolicyGet(def);
    const char *reason;

    if (!virDomainPCIHintsGiven(&info->pciHints))
        return 0;

    if (qemuPCIRequestIsPCIController(dev))
        return qemuPCIRequestRefuse(dev, _("'hotpluggable', 'busHint', 'preferredConnection', 'node' and 'group' are not supported for PCI controllers"));

    /* some devices of pseries have been given another type of address by now */
    if (!info->pciConnectFlags || info->type != VIR_DOMAIN_DEVICE_ADDRESS_TYPE_PCI)
        return qemuPCIRequestRefuse(dev, _("the device takes no PCI address"));

    if (policy->root == VIR_DOMAIN_CONTROLLER_MODEL_PCI_DEFAULT)
        return qemuPCIRequestRefuse(dev, _("the machine type has no PCI"));

    if ((reason = qemuPCIRequestContradiction(&info->pciHints, info->pciConnectFlags, policy)) ||
        (reason = qemuPCIRequestGroupProblem(dev, info, def, policy)))
        return qemuPCIRequestRefuse(dev, reason);

    if (info->pciHints.hasNode &&
        (reason = qemuPCINodesProblem(def, policy, qemuCaps, virDomainPCIHintsNode(&info->pciHints),
                                      info->pciHints.hotpluggable == VIR_TRISTATE_BOOL_YES)))
        return qemuPCIRequestRefuse(dev, reason);

    return 0;
}


static int
qemuPCIRequestCheckIter(virDomainDef *def,
                        virDomainDeviceDef *dev,
                        virDomainDeviceInfo *info,
                        void *opaque)
{
    return qemuPCIRequestCheck(dev, info, def, opaque);
}


/**
 * qemuPCIRequestCheckAll:
 * @def: domain definition with the connect flags of all devices
 * @qemuCaps: capabilities of the QEMU binary
 *
 * Returns: 0 on success, -1 with VIR_ERR_CONFIG_UNSUPPORTED reported if
 *          qemuPCIRequestCheck() refuses a device of @def
 */
int
qemuPCIRequestCheckAll(virDomainDef *def,
                       virQEMUCaps *qemuCaps)
{
    return virDomainDeviceInfoIterate(def, qemuPCIRequestCheckIter, qemuCaps);
}


/* Does an address on @busNr contradict the hints beside it? */
static const char *
qemuPCIRequestPlaceContradiction(const virDomainPCIHints *hints,
                                 virDomainPCIAddressSet *addrs,
                                 size_t busNr)
{
    const virDomainPCIAddressBus *bus = &addrs->buses[busNr];

    if (hints->hotpluggable == VIR_TRISTATE_BOOL_YES &&
        !(bus->flags & VIR_PCI_CONNECT_HOTPLUGGABLE))
        return _("hotpluggable='yes', but the bus of the address does not support hotplug");

    if (hints->hotpluggable == VIR_TRISTATE_BOOL_NO && busNr != 0)
        return _("hotpluggable='no', but the address is not on the root bus");

    if ((hints->busHint == VIR_DOMAIN_PCI_BUS_HINT_PCIE &&
         !(bus->flags & VIR_PCI_CONNECT_TYPE_PCIE_DEVICE)) ||
        (hints->busHint == VIR_DOMAIN_PCI_BUS_HINT_PCI &&
         !(bus->flags & VIR_PCI_CONNECT_TYPE_PCI_DEVICE)))
        return _("the bus of the address contradicts 'busHint'");

    if (hints->hasConnection && (int)bus->model != hints->connection)
        return _("the bus of the address contradicts 'preferredConnection'");

    if (hints->hasNode &&
        virDomainPCITopologyGetNode(addrs, busNr) != virDomainPCIHintsNode(hints))
        return _("the bus of the address is not below a host bridge of 'node'");

    return NULL;
}


/**
 * qemuPCIRequestCheckPlace:
 * @dev: a device
 * @info: its info
 * @addrs: address set of the definition
 *
 * Refuses an address that the user wrote and that contradicts the hints beside
 * it, or belongs to a group that the device is not in.
 *
 * Returns: 0 on success, -1 with VIR_ERR_CONFIG_UNSUPPORTED reported
 */
int
qemuPCIRequestCheckPlace(const virDomainDeviceDef *dev,
                         const virDomainDeviceInfo *info,
                         virDomainPCIAddressSet *addrs)
{
    size_t busNr = info->addr.pci.bus;
    const char *reason;

    if (qemuPCIRequestIsPCIController(dev) || !virDeviceInfoPCIAddressIsPresent(info) ||
        busNr >= addrs->nbuses)
        return 0;

    if ((reason = virDomainPCIGroupsPlaceProblem(addrs, info)))
        return qemuPCIRequestRefuse(dev, reason);

    if ((reason = qemuPCIRequestPlaceContradiction(&info->pciHints, addrs, busNr)))
        return qemuPCIRequestRefuse(dev, reason);

    return 0;
}


static int
qemuPCIRequestCheckPlaceIter(virDomainDef *def G_GNUC_UNUSED,
                             virDomainDeviceDef *dev,
                             virDomainDeviceInfo *info,
                             void *opaque)
{
    return qemuPCIRequestCheckPlace(dev, info, opaque);
}


/**
 * qemuPCIRequestCheckAllPlaces:
 * @def: domain definition in which all devices have their addresses
 * @addrs: its address set
 *
 * Returns: 0 on success, -1 with VIR_ERR_CONFIG_UNSUPPORTED reported if
 *          qemuPCIRequestCheckPlace() refuses a device of @def
 */
int
qemuPCIRequestCheckAllPlaces(virDomainDef *def,
                             virDomainPCIAddressSet *addrs)
{
    return virDomainDeviceInfoIterate(def, qemuPCIRequestCheckPlaceIter, addrs);
}
