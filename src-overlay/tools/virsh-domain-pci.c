/*
 * virsh-domain-pci.c: show the PCI topology of a domain
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The driver is asked (formats "pci-topology" and "planned-xml" of
 * virConnectDomainXMLToNative()), and its answer is shown. Where it has none,
 * what the domain XML says is shown.
 */

#include <config.h>
#include "virsh-domain-pci.h"
#include "virsh-domain-pci-show.h"
#include "virsh-util.h"

#include "conf/domain_pci_report.h"
#include "internal.h"
#include "virenum.h"
#include "virfile.h"
#include "virxml.h"

typedef enum {
    VIRSH_PCI_FORMAT_TREE,
    VIRSH_PCI_FORMAT_TABLE,
    VIRSH_PCI_FORMAT_JSON,
    VIRSH_PCI_FORMAT_DOT,

    VIRSH_PCI_FORMAT_LAST
} virshPCIFormat;

VIR_ENUM_DECL(virshPCIFormat);
VIR_ENUM_IMPL(virshPCIFormat,
              VIRSH_PCI_FORMAT_LAST,
              "tree",
              "table",
              "json",
              "dot",
);

static bool (*virshPCIShow[VIRSH_PCI_FORMAT_LAST])(vshControl *ctl,
                                                   virshPCI *pci,
                                                   bool onlyFree) = {
    [VIRSH_PCI_FORMAT_TREE] = virshPCIShowTree,
    [VIRSH_PCI_FORMAT_TABLE] = virshPCIShowTable,
    [VIRSH_PCI_FORMAT_JSON] = virshPCIShowJSON,
    [VIRSH_PCI_FORMAT_DOT] = virshPCIShowDot,
};

/* -- asking ---------------------------------------------------------------- */

/* The topology of @xml as the driver tells it, or NULL with libvirt's error */
static virJSONValue *
virshPCIAsk(virConnectPtr conn,
            const char *xml)
{
    g_autofree char *text = NULL;

    if (!(text = virConnectDomainXMLToNative(conn, "pci-topology", xml, 0)))
        return NULL;

    return virJSONValueFromString(text);
}

/* Has the driver never heard of the formats, or refuse to be asked? In this case
 * the last error says nothing about the XML. */
static bool
virshPCIIsUnknown(void)
{
    switch (virGetLastErrorCode()) {
    case VIR_ERR_NO_SUPPORT:
        return true;
    case VIR_ERR_INVALID_ARG:
        /* "unsupported config type pci-topology" */
        return strstr(virGetLastErrorMessage(), "pci-topology");
    default:
        return false;
    }
}

/* Marks what @json has and @before has not. Only PCI controllers can have come
 * to XML in which all devices had their places. */
static void
virshPCIMarkAdded(virJSONValue *json,
                  virJSONValue *before)
{
    g_autoptr(GHashTable) known = g_hash_table_new(g_direct_hash, g_direct_equal);
    virJSONValue *old = virJSONValueObjectGetArray(before, "controllers");
    virJSONValue *new = virJSONValueObjectGetArray(json, "controllers");
    virJSONValue *devices = virJSONValueObjectGetArray(json, "devices");
    unsigned int idx = 0;
    size_t i;

    for (i = 0; old && i < virJSONValueArraySize(old); i++) {
        if (virJSONValueObjectGetNumberUint(virJSONValueArrayGet(old, i), "index", &idx) == 0)
            g_hash_table_add(known, GUINT_TO_POINTER(idx));
    }

    for (i = 0; new && i < virJSONValueArraySize(new); i++) {
        virJSONValue *object = virJSONValueArrayGet(new, i);

        if (virJSONValueObjectGetNumberUint(object, "index", &idx) == 0) {
            virJSONValueObjectAppendBoolean(object, "added",
                                            !g_hash_table_contains(known, GUINT_TO_POINTER(idx)));
        }
    }

    for (i = 0; devices && i < virJSONValueArraySize(devices); i++)
        virJSONValueObjectAppendBoolean(virJSONValueArrayGet(devices, i), "added", false);
}

/* The topology of the definition that would be made of @xml. The driver plans
 * by itself if devices have no address; if all have, free slots may be missing
 * yet that the XML asks for. */
static virJSONValue *
virshPCIAskPlanned(virConnectPtr conn,
                   const char *xml)
{
    g_autoptr(virJSONValue) json = NULL;
    g_autoptr(virJSONValue) before = virshPCIAsk(conn, xml);
    g_autofree char *complete = NULL;
    bool planned = false;

    if (!before ||
        virJSONValueObjectGetBoolean(before, "planned", &planned) < 0 || planned)
        return g_steal_pointer(&before);

    if (!(complete = virConnectDomainXMLToNative(conn, "planned-xml", xml, 0)) ||
        !(json = virshPCIAsk(conn, complete)))
        return NULL;

    virshPCIMarkAdded(json, before);
    return g_steal_pointer(&json);
}

/* What the XML says by itself */
static virJSONValue *
virshPCIRead(const char *xml)
{
    g_autoptr(virDomainPCIReport) report = NULL;
    g_autoptr(xmlDoc) doc = NULL;

    if (!(doc = virXMLParseStringCtxt(xml, _("(domain_definition)"), NULL)) ||
        !(report = virDomainPCIReportNew(xmlDocGetRootElement(doc))))
        return NULL;

    return virDomainPCIReportFormat(report);
}

/* The topology of @xml, with @unknown set if only the XML was there to tell it;
 * NULL with libvirt's error if there is none */
static virJSONValue *
virshPCIGet(virConnectPtr conn,
            const char *xml,
            bool plan,
            bool isFile,
            char **unknown)
{
    g_autoptr(virJSONValue) json = NULL;
    bool planned = false;

    if (!conn) {
        *unknown = g_strdup(_("Only a driver knows which slots are free, and there is no connection to one."));
    } else if (!(json = plan ? virshPCIAskPlanned(conn, xml) : virshPCIAsk(conn, xml))) {
        if (plan && !virshPCIIsUnknown())
            return NULL;
        *unknown = g_strdup_printf(_("The driver does not say which slots are free: %1$s"),
                                   virGetLastErrorMessage());
        vshResetLibvirtError();
        virResetLastError();
    } else if (!plan && isFile &&
               virJSONValueObjectGetBoolean(json, "planned", &planned) == 0 && planned) {
        /* it was not asked for */
        *unknown = g_strdup(_("Which slots are free is settled when devices are given theirs: --plan shows it."));
    }

    return *unknown ? virshPCIRead(xml) : g_steal_pointer(&json);
}

/* -- the command ----------------------------------------------------------- */

VSH_CMD_INFO(info_dompci) =
    VSH_CMD_INFO_TEXTS(N_("show the PCI topology and the free slots of a domain"),
                       N_("Show which PCI controllers a domain has, where its devices are "
                          "plugged in, and which slots are free."));

static char **
virshPCIFormatCompleter(vshControl *ctl G_GNUC_UNUSED,
                        const vshCmd *cmd G_GNUC_UNUSED,
                        unsigned int flags)
{
    virCheckFlags(0, NULL);

    return virshEnumComplete(VIRSH_PCI_FORMAT_LAST, virshPCIFormatTypeToString);
}

const vshCmdOptDef opts_dompci[] = {
    {.name = "domain",
     .type = VSH_OT_STRING,
     VSH_OPT_POSITION(true),
     .help = N_("domain name, id or uuid"),
     .completer = virshDomainNameCompleter,
    },
    {.name = "file",
     .type = VSH_OT_STRING,
     VSH_OPT_POSITION(false),
     .help = N_("show the domain XML in this file instead of a domain"),
     .completer = virshCompletePathLocalExisting,
    },
    {.name = "format",
     .type = VSH_OT_STRING,
     VSH_OPT_POSITION(false),
     .help = N_("output format: tree, table, json or dot"),
     .completer = virshPCIFormatCompleter,
    },
    {.name = "inactive",
     .type = VSH_OT_BOOL,
     .help = N_("show the inactive rather than the running configuration")
    },
    {.name = "plan",
     .type = VSH_OT_BOOL,
     .help = N_("complete the file as define would, without defining anything")
    },
    {.name = "free",
     .type = VSH_OT_BOOL,
     .help = N_("show only free hotpluggable slots and what leads to them")
    },
    {.name = NULL}
};

/* The domain XML in a file, or NULL with an error reported to the user */
static char *
virshPCIReadFile(vshControl *ctl,
                 const char *file)
{
    g_autoptr(xmlDoc) doc = NULL;
    g_autofree char *xml = NULL;
    xmlNodePtr root;

    if (virFileReadAll(file, VSH_MAX_XML_FILE, &xml) < 0 ||
        !(doc = virXMLParseStringCtxt(xml, file, NULL))) {
        vshSaveLibvirtError();
        return NULL;
    }

    root = xmlDocGetRootElement(doc);
    if (!virXMLNodeNameEqual(root, "domain")) {
        vshError(ctl, _("'%1$s' is not domain XML: its root element is <%2$s>"),
                 file, (const char *) root->name);
        return NULL;
    }

    return g_steal_pointer(&xml);
}

/* Reads the options that are no flags; @file is NULL if a domain is named. */
static bool
virshPCIOptions(vshControl *ctl,
                const vshCmd *cmd,
                const char **file,
                int *format)
{
    const char *formatName = NULL;

    VSH_EXCLUSIVE_OPTIONS("domain", "file");
    VSH_EXCLUSIVE_OPTIONS("inactive", "file");
    VSH_REQUIRE_OPTION("plan", "file");

    if (VSH_OPT_STRING(ctl, cmd, "file", file) < 0 ||
        VSH_OPT_STRING(ctl, cmd, "format", &formatName) < 0)
        return false;

    if (formatName && (*format = virshPCIFormatTypeFromString(formatName)) < 0) {
        vshError(ctl, _("unknown format '%1$s': use tree, table, json or dot"),
                 formatName);
        return false;
    }

    if (!*file && !vshCommandOptBool(cmd, "domain")) {
        vshError(ctl, "%s", _("either a domain or --file is needed"));
        return false;
    }

    return true;
}

bool
cmdDomPCI(vshControl *ctl,
          const vshCmd *cmd)
{
    bool plan = vshCommandOptBool(cmd, "plan");
    bool onlyFree = vshCommandOptBool(cmd, "free");
    unsigned int flags = vshCommandOptBool(cmd, "inactive") ? VIR_DOMAIN_XML_INACTIVE : 0;
    virshControl *priv = ctl->privData;
    g_autoptr(virshDomain) dom = NULL;
    int format = VIRSH_PCI_FORMAT_TREE;
    const char *file = NULL;
    g_autofree char *xml = NULL;
    g_autofree char *unknown = NULL;
    g_autoptr(virJSONValue) json = NULL;
    g_autoptr(virshPCI) pci = NULL;

    if (!virshPCIOptions(ctl, cmd, &file, &format))
        return false;

    if (file && !(xml = virshPCIReadFile(ctl, file)))
        return false;

    if ((!file || plan) && !ctl->hooks->connHandler(ctl))
        return false;

    if (!file &&
        (!(dom = virshCommandOptDomain(ctl, cmd, NULL)) ||
         !(xml = virDomainGetXMLDesc(dom, flags))))
        return false;

    if (!(json = virshPCIGet(priv->conn, xml, plan, !!file, &unknown))) {
        vshSaveLibvirtError();
        return false;
    }

    pci = virshPCINew(&json, plan, unknown);
    if (!virshPCIShow[format](ctl, pci, onlyFree))
        return false;

    /* programs that read the output read this nowhere but there */
    if (unknown && (format == VIRSH_PCI_FORMAT_TREE || format == VIRSH_PCI_FORMAT_TABLE))
        vshPrint(ctl, "%s\n", unknown);

    return true;
}
