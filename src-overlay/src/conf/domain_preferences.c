/*
 * domain_preferences.c: what a user asks of the planning of a guest
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Parses and formats the <preferences> element of the domain XML. Whether the
 * machine can do what is asked for is not decided here.
 */

#include <config.h>

#include "domain_preferences.h"
#include "domain_conf.h"
#include "viralloc.h"
#include "virerror.h"
#include "virlog.h"
#include "virstring.h"

#define VIR_FROM_THIS VIR_FROM_DOMAIN

VIR_LOG_INIT("conf.domain_preferences");

/* A type that is added upstream may be one more way to connect virtio devices,
 * for "defaultAddressType" and the policy rows of the hypervisor drivers. */
G_STATIC_ASSERT(VIR_DOMAIN_DEVICE_ADDRESS_TYPE_LAST == 13);

VIR_ENUM_IMPL(virDomainPreference,
              VIR_DOMAIN_PREFERENCE_LAST,
              "pcieHotplugSlots",
              "pciHotplugSlots",
              "defaultAddressType",
              "hotpluggable",
              "hostdevPlacement",
              "pciGroup",
);

VIR_ENUM_IMPL(virDomainPCIGroupShare,
              VIR_DOMAIN_PCI_GROUP_LAST,
              "slot",
              "switch",
              "root",
);

#define GROUP_NAME_CHARS \
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"


/* Is @which a number of slots, which may be given several times? */
static bool
virDomainPreferenceIsSlots(virDomainPreference which)
{
    return which == VIR_DOMAIN_PREFERENCE_PCIE_HOTPLUG_SLOTS ||
        which == VIR_DOMAIN_PREFERENCE_PCI_HOTPLUG_SLOTS;
}


static void
virDomainPreferenceItemClear(virDomainPreferenceItem *item)
{
    size_t i;

    g_free(item->name);
    g_free(item->value);
    g_free(item->share);
    for (i = 0; i < VIR_DOMAIN_PCI_WINDOW_LAST; i++)
        g_free(item->windows[i]);
    g_free(item->node);
    g_free(item->spare);
}


/**
 * virDomainPreferencesFree:
 * @prefs: preferences to free, or NULL
 */
void
virDomainPreferencesFree(virDomainPreferences *prefs)
{
    size_t i;

    if (!prefs)
        return;

    for (i = 0; i < prefs->nitems; i++)
        virDomainPreferenceItemClear(&prefs->items[i]);
    g_free(prefs->items);
    g_free(prefs->slots);
    g_free(prefs->groups);
    g_free(prefs);
}


/* Slots with other windows or of another node are another promise, and each
 * group has a name of its own */
static bool
virDomainPreferencesIsRepeated(const virDomainPreferences *prefs,
                               const virDomainPreferenceSlots *slots,
                               const char *value)
{
    size_t i;

    if (slots->which == VIR_DOMAIN_PREFERENCE_PCI_GROUP)
        return virDomainPreferencesGetGroup(prefs, g_intern_string(value)) != NULL;

    if (!virDomainPreferenceIsSlots(slots->which))
        return prefs->given[slots->which];

    for (i = 0; i < prefs->nslots; i++) {
        if (prefs->slots[i].which == slots->which &&
            prefs->slots[i].node == slots->node &&
            virDomainPCIWindowsEqual(&prefs->slots[i].windows, &slots->windows))
            return true;
    }

    return false;
}


/* Takes the declaration of a group at its word. Returns false if it makes no
 * sense. */
static bool
virDomainPreferencesApplyGroup(virDomainPreferences *prefs,
                               const char *value,
                               virDomainPCIGroup *group)
{
    if (!*value || strspn(value, GROUP_NAME_CHARS) != strlen(value))
        return false;

    group->name = g_intern_string(value);
    VIR_APPEND_ELEMENT_COPY(prefs->groups, prefs->ngroups, *group);
    return true;
}


/* Takes one preference at its word; @slots says what is asked of slots, @group
 * what is said of a group */
static int
virDomainPreferencesApply(virDomainPreferences *prefs,
                          const char *name,
                          const char *value,
                          virDomainPreferenceSlots *slots,
                          virDomainPCIGroup *group)
{
    int which = virDomainPreferenceTypeFromString(name);
    int num = -1;

    if (which < 0) {
        virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                       _("unknown preference '%1$s'"), name);
        return -1;
    }

    slots->which = which;
    if (virDomainPreferencesIsRepeated(prefs, slots, value)) {
        if (which == VIR_DOMAIN_PREFERENCE_PCI_GROUP) {
            virReportError(VIR_ERR_XML_ERROR,
                           _("PCI group '%1$s' is declared more than once"), value);
        } else {
            virReportError(VIR_ERR_XML_ERROR,
                           _("preference '%1$s' is given more than once"), name);
        }
        return -1;
    }

    if ((virDomainPCIWindowsAny(&slots->windows) && !virDomainPreferenceIsSlots(which)) ||
        (slots->node >= 0 && !virDomainPreferenceIsSlots(which) &&
         which != VIR_DOMAIN_PREFERENCE_PCI_GROUP)) {
        virReportError(VIR_ERR_XML_ERROR,
                       which == VIR_DOMAIN_PREFERENCE_PCI_GROUP ?
                       _("'memReserve', 'pref64Reserve' and 'ioReserve' are not supported for preference '%1$s'") :
                       _("'memReserve', 'pref64Reserve', 'ioReserve' and 'node' are not supported for preference '%1$s'"),
                       name);
        return -1;
    }

    switch ((virDomainPreference)which) {
    case VIR_DOMAIN_PREFERENCE_PCIE_HOTPLUG_SLOTS:
    case VIR_DOMAIN_PREFERENCE_PCI_HOTPLUG_SLOTS:
        if ((num = virStrToLong_uip(value, NULL, 10, &slots->number)) == 0)
            VIR_APPEND_ELEMENT(prefs->slots, prefs->nslots, *slots);
        break;

    case VIR_DOMAIN_PREFERENCE_DEFAULT_ADDRESS_TYPE:
        num = virDomainDeviceAddressTypeFromString(value);
        prefs->defaultAddressType = num;
        if (num != VIR_DOMAIN_DEVICE_ADDRESS_TYPE_PCI &&
            num != VIR_DOMAIN_DEVICE_ADDRESS_TYPE_VIRTIO_MMIO)
            num = -1;
        break;

    case VIR_DOMAIN_PREFERENCE_HOTPLUGGABLE:
        num = virTristateBoolTypeFromString(value);
        prefs->hotpluggable = num;
        if (num <= 0)
            num = -1;
        break;

    case VIR_DOMAIN_PREFERENCE_HOSTDEV_PLACEMENT:
        num = STREQ(value, "numa") ? 0 : -1;
        break;

    case VIR_DOMAIN_PREFERENCE_PCI_GROUP:
        group->node = slots->node;
        num = virDomainPreferencesApplyGroup(prefs, value, group) ? 0 : -1;
        break;

    case VIR_DOMAIN_PREFERENCE_LAST:
        break;
    }

    if (num < 0) {
        virReportError(VIR_ERR_XML_ERROR,
                       _("invalid value '%1$s' of preference '%2$s'"),
                       value, name);
        return -1;
    }

    prefs->given[which] = true;
    return 0;
}


/* Reads what only the declaration of a group has */
static int
virDomainPreferencesParseGroup(xmlNodePtr node,
                               const char *name,
                               virDomainPCIGroup *group)
{
    g_autofree char *share = virXMLPropString(node, "share");
    g_autofree char *spare = virXMLPropString(node, "spare");
    int value = -1;

    if (virDomainPreferenceTypeFromString(name) != VIR_DOMAIN_PREFERENCE_PCI_GROUP) {
        if (!share && !spare)
            return 0;

        virReportError(VIR_ERR_XML_ERROR,
                       _("'share' and 'spare' are not supported for preference '%1$s'"),
                       name);
        return -1;
    }

    if (!share) {
        virReportError(VIR_ERR_XML_ERROR,
                       _("missing 'share' attribute of preference '%1$s'"), name);
        return -1;
    }

    if ((value = virDomainPCIGroupShareTypeFromString(share)) < 0 ||
        (spare && virStrToLong_uip(spare, NULL, 10, &group->spare) < 0)) {
        virReportError(VIR_ERR_XML_ERROR,
                       _("Invalid value for attribute '%1$s' in element '%2$s': '%3$s'"),
                       value < 0 ? "share" : "spare", node->name, value < 0 ? share : spare);
        return -1;
    }

    if (spare && value == VIR_DOMAIN_PCI_GROUP_SLOT) {
        virReportError(VIR_ERR_XML_ERROR, "%s",
                       _("'spare' is not supported for a group with share='slot': it has functions, and no slots to keep"));
        return -1;
    }

    group->share = value;
    return 0;
}


static int
virDomainPreferencesParseItem(virDomainPreferences *prefs,
                              xmlNodePtr node,
                              bool strict)
{
    g_autofree char *name = virXMLPropString(node, "name");
    g_autofree char *value = virXMLPropString(node, "value");
    virDomainPreferenceSlots slots = { 0 };
    virDomainPCIGroup group = { 0 };
    virDomainPreferenceItem item;
    size_t i;

    if (!name || !value) {
        if (!strict)
            return 0;

        virReportError(VIR_ERR_XML_ERROR,
                       _("missing '%1$s' attribute of preference '%2$s'"),
                       name ? "value" : "name", NULLSTR_EMPTY(name));
        return -1;
    }

    if (virDomainPCIWindowsParseXML(node, &slots.windows) < 0 ||
        virXMLPropInt(node, "node", 10, VIR_XML_PROP_NONNEGATIVE, &slots.node, -1) < 0 ||
        virDomainPreferencesParseGroup(node, name, &group) < 0 ||
        virDomainPreferencesApply(prefs, name, value, &slots, &group) < 0) {
        if (strict)
            return -1;

        VIR_WARN("Ignoring preference '%s' with value '%s'", name, value);
        virResetLastError();
    }

    item.name = g_steal_pointer(&name);
    item.value = g_steal_pointer(&value);
    for (i = 0; i < VIR_DOMAIN_PCI_WINDOW_LAST; i++)
        item.windows[i] = virXMLPropString(node, virDomainPCIWindowTypeToString(i));
    item.share = virXMLPropString(node, "share");
    item.node = virXMLPropString(node, "node");
    item.spare = virXMLPropString(node, "spare");
    VIR_APPEND_ELEMENT(prefs->items, prefs->nitems, item);
    return 0;
}


/**
 * virDomainPreferencesParseXML:
 * @ctxt: XPath context at the <domain> element
 * @strict: refuse what is not understood
 * @prefs: set to the preferences, or to NULL if there are none; to be freed by
 *         the caller with virDomainPreferencesFree()
 *
 * If not @strict, what is not understood is kept but has no effect. This is for
 * definitions that were accepted before, perhaps by another build: they must
 * not vanish.
 *
 * Returns: 0 on success, -1 with VIR_ERR_XML_ERROR or
 *          VIR_ERR_CONFIG_UNSUPPORTED reported
 */
int
virDomainPreferencesParseXML(xmlXPathContextPtr ctxt,
                             bool strict,
                             virDomainPreferences **prefs)
{
    g_autoptr(virDomainPreferences) ret = NULL;
    g_autofree xmlNodePtr *elements = NULL;
    g_autofree xmlNodePtr *nodes = NULL;
    int nelements;
    int n;
    size_t i;

    if ((nelements = virXPathNodeSet("./preferences", ctxt, &elements)) < 0 ||
        (n = virXPathNodeSet("./preferences/preference", ctxt, &nodes)) < 0)
        return -1;

    if (nelements > 1 && strict) {
        virReportError(VIR_ERR_XML_ERROR, "%s",
                       _("there can be only one <preferences> element"));
        return -1;
    }

    if (n > 0) {
        ret = g_new0(virDomainPreferences, 1);

        for (i = 0; i < n; i++) {
            if (virDomainPreferencesParseItem(ret, nodes[i], strict) < 0)
                return -1;
        }
    }

    *prefs = g_steal_pointer(&ret);
    return 0;
}


/**
 * virDomainPreferencesFormat:
 * @buf: buffer to add to
 * @prefs: preferences, or NULL
 */
void
virDomainPreferencesFormat(virBuffer *buf,
                           const virDomainPreferences *prefs)
{
    g_auto(virBuffer) childBuf = VIR_BUFFER_INIT_CHILD(buf);
    size_t i;
    size_t j;

    if (!prefs)
        return;

    for (i = 0; i < prefs->nitems; i++) {
        g_auto(virBuffer) attrBuf = VIR_BUFFER_INITIALIZER;

        virBufferEscapeString(&attrBuf, " name='%s'", prefs->items[i].name);
        virBufferEscapeString(&attrBuf, " value='%s'", prefs->items[i].value);
        virBufferEscapeString(&attrBuf, " share='%s'", prefs->items[i].share);
        virBufferEscapeString(&attrBuf, " node='%s'", prefs->items[i].node);
        virBufferEscapeString(&attrBuf, " spare='%s'", prefs->items[i].spare);
        for (j = 0; j < VIR_DOMAIN_PCI_WINDOW_LAST; j++) {
            if (prefs->items[i].windows[j]) {
                virBufferAsprintf(&attrBuf, " %s=", virDomainPCIWindowTypeToString(j));
                virBufferEscapeString(&attrBuf, "'%s'", prefs->items[i].windows[j]);
            }
        }
        virXMLFormatElement(&childBuf, "preference", &attrBuf, NULL);
    }

    virXMLFormatElement(buf, "preferences", NULL, &childBuf);
}


static int
virDomainPreferencesRefuseHints(virDomainDef *def G_GNUC_UNUSED,
                                virDomainDeviceDef *dev G_GNUC_UNUSED,
                                virDomainDeviceInfo *info,
                                void *opaque G_GNUC_UNUSED)
{
    return virDomainPCIHintsGiven(&info->pciHints) ? -1 : 0;
}


/**
 * virDomainPreferencesRefuse:
 * @def: domain definition for a driver that does not plan PCI
 *
 * Returns: 0 if @def asks for nothing of that kind, -1 with
 *          VIR_ERR_CONFIG_UNSUPPORTED reported if it does
 */
int
virDomainPreferencesRefuse(virDomainDef *def)
{
    if (def->preferences) {
        virReportError(VIR_ERR_CONFIG_UNSUPPORTED, "%s",
                       _("<preferences> are not supported by this driver"));
        return -1;
    }

    if (virDomainDeviceInfoIterate(def, virDomainPreferencesRefuseHints, NULL) < 0) {
        virReportError(VIR_ERR_CONFIG_UNSUPPORTED, "%s",
                       _("'hotpluggable', 'busHint', 'preferredConnection', 'node' and 'group' of <address> are not supported by this driver"));
        return -1;
    }

    return 0;
}


/**
 * virDomainPreferencesGiven:
 * @prefs: preferences, or NULL
 * @which: one of them
 *
 * Returns: true if @which is given
 */
bool
virDomainPreferencesGiven(const virDomainPreferences *prefs,
                          virDomainPreference which)
{
    return prefs && prefs->given[which];
}


/**
 * virDomainPreferencesGetGroup:
 * @prefs: preferences, or NULL
 * @name: interned name of a group, or NULL
 *
 * Returns: its declaration, which belongs to @prefs, or NULL if there is none
 */
const virDomainPCIGroup *
virDomainPreferencesGetGroup(const virDomainPreferences *prefs,
                             const char *name)
{
    size_t i;

    for (i = 0; prefs && name && i < prefs->ngroups; i++) {
        if (prefs->groups[i].name == name)
            return &prefs->groups[i];
    }

    return NULL;
}


/* The values of an enum that are supported, if there are any */
static void
virDomainPreferencesCapsFormatEnum(virBuffer *buf,
                                   const char *name,
                                   const bool *supported,
                                   size_t n,
                                   const char *(*toString)(int))
{
    g_auto(virBuffer) childBuf = VIR_BUFFER_INIT_CHILD(buf);
    g_auto(virBuffer) attrBuf = VIR_BUFFER_INITIALIZER;
    size_t i;

    for (i = 0; i < n; i++) {
        if (supported[i])
            virBufferAsprintf(&childBuf, "<value>%s</value>\n", toString(i));
    }

    virBufferAsprintf(&attrBuf, " name='%s'", name);
    if (virBufferUse(&childBuf) > 0)
        virXMLFormatElement(buf, "enum", &attrBuf, &childBuf);
}


/**
 * virDomainPreferencesCapsFormat:
 * @buf: buffer to add to
 * @caps: what a machine type supports, or NULL if that is not known
 */
void
virDomainPreferencesCapsFormat(virBuffer *buf,
                               const virDomainPreferencesCaps *caps)
{
    g_auto(virBuffer) childBuf = VIR_BUFFER_INIT_CHILD(buf);
    size_t i;

    if (!caps)
        return;

    for (i = 0; i < VIR_DOMAIN_PREFERENCE_LAST; i++) {
        g_auto(virBuffer) attrBuf = VIR_BUFFER_INITIALIZER;
        g_auto(virBuffer) valueBuf = VIR_BUFFER_INIT_CHILD(&childBuf);

        if (!caps->supported[i])
            continue;

        virBufferAsprintf(&attrBuf, " name='%s'", virDomainPreferenceTypeToString(i));

        switch ((virDomainPreference)i) {
        case VIR_DOMAIN_PREFERENCE_PCIE_HOTPLUG_SLOTS:
        case VIR_DOMAIN_PREFERENCE_PCI_HOTPLUG_SLOTS:
            virBufferAsprintf(&attrBuf, " max='%u'", caps->slotsMax[i]);
            if (caps->node[i])
                virBufferAddLit(&attrBuf, " node='yes'");
            virDomainPreferencesCapsFormatEnum(&valueBuf, "window", caps->windows[i],
                                               VIR_DOMAIN_PCI_WINDOW_LAST,
                                               virDomainPCIWindowTypeToString);
            break;

        case VIR_DOMAIN_PREFERENCE_DEFAULT_ADDRESS_TYPE:
            virBufferAddLit(&valueBuf, "<value>pci</value>\n");
            if (caps->virtioMMIO)
                virBufferAddLit(&valueBuf, "<value>virtio-mmio</value>\n");
            break;

        case VIR_DOMAIN_PREFERENCE_HOTPLUGGABLE:
            virBufferAddLit(&valueBuf, "<value>yes</value>\n");
            virBufferAddLit(&valueBuf, "<value>no</value>\n");
            break;

        case VIR_DOMAIN_PREFERENCE_HOSTDEV_PLACEMENT:
            virBufferAddLit(&valueBuf, "<value>numa</value>\n");
            break;

        case VIR_DOMAIN_PREFERENCE_PCI_GROUP:
            virDomainPreferencesCapsFormatEnum(&valueBuf, "share", caps->share,
                                               VIR_DOMAIN_PCI_GROUP_LAST,
                                               virDomainPCIGroupShareTypeToString);
            break;

        case VIR_DOMAIN_PREFERENCE_LAST:
            break;
        }

        virXMLFormatElement(&childBuf, "preference", &attrBuf, &valueBuf);
    }

    if (caps->models) {
        virBufferAddLit(&childBuf, "<enum name='autoAddedModel'>\n");
        virBufferAdjustIndent(&childBuf, 2);
        for (i = 0; i < VIR_DOMAIN_CONTROLLER_MODEL_PCI_LAST; i++) {
            if (caps->models & (1 << i)) {
                virBufferAsprintf(&childBuf, "<value>%s</value>\n",
                                  virDomainControllerModelPCITypeToString(i));
            }
        }
        virBufferAdjustIndent(&childBuf, -2);
        virBufferAddLit(&childBuf, "</enum>\n");
    }

    if (caps->nodeHost >= 0) {
        virBufferAddLit(&childBuf, "<enum name='nodeHostBridge'>\n");
        virBufferAdjustIndent(&childBuf, 2);
        virBufferAsprintf(&childBuf, "<value>%s</value>\n",
                          virDomainControllerModelPCITypeToString(caps->nodeHost));
        virBufferAdjustIndent(&childBuf, -2);
        virBufferAddLit(&childBuf, "</enum>\n");
    }

    virXMLFormatElement(buf, "preferences", NULL, &childBuf);
}
