package plan

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/fault"
)

var capabilitiesSetting = Setting{
	Flag: "capability", Value: "CAPABILITY", Help: "capability that the programs have whichever user runs them, like cap_net_bind_service for ports below 1024",
	More:     "a container whose runtime does not permit it cannot start then",
	Examples: []string{"cap_net_bind_service"},
	Field:    "Capabilities",
	read: func(c Config, s *settings, f *fault.Faults) {
		s.capabilities = each(f, "capability", c.Capabilities, parseCapability)
		slices.SortFunc(s.capabilities, func(a, b string) int { return slices.Index(linuxCapabilities, a) - slices.Index(linuxCapabilities, b) })
		s.capabilities = slices.Compact(s.capabilities)
		if len(s.capabilities) > 0 && c.Engine.NoFileCapabilities {
			f.Add("capability", strings.Join(c.Capabilities, ","), "the engine alone gives no capabilities to files", "make an image or an archive instead")
		}
	},
}

// linuxCapabilities are the capabilities of Linux, in the order of their numbers. Source: include/uapi/linux/capability.h
var linuxCapabilities = []string{
	"cap_chown", "cap_dac_override", "cap_dac_read_search", "cap_fowner", "cap_fsetid", "cap_kill", "cap_setgid", "cap_setuid",
	"cap_setpcap", "cap_linux_immutable", "cap_net_bind_service", "cap_net_broadcast", "cap_net_admin", "cap_net_raw", "cap_ipc_lock",
	"cap_ipc_owner", "cap_sys_module", "cap_sys_rawio", "cap_sys_chroot", "cap_sys_ptrace", "cap_sys_pacct", "cap_sys_admin",
	"cap_sys_boot", "cap_sys_nice", "cap_sys_resource", "cap_sys_time", "cap_sys_tty_config", "cap_mknod", "cap_lease", "cap_audit_write",
	"cap_audit_control", "cap_setfcap", "cap_mac_override", "cap_mac_admin", "cap_syslog", "cap_wake_alarm", "cap_block_suspend",
	"cap_audit_read", "cap_perfmon", "cap_bpf", "cap_checkpoint_restore",
}

// parseCapability reads the name of a capability, as setcap or as Kubernetes has it.
func parseCapability(s string) (string, error) {
	name := "cap_" + strings.TrimPrefix(strings.ToLower(s), "cap_")
	if !slices.Contains(linuxCapabilities, name) {
		return "", fmt.Errorf("no capability of Linux: write its name, like cap_net_bind_service")
	}
	return name, nil
}

// Xattrs are the extended attributes that the file has in an image; nil for none. Capabilities are permitted, and effective from the start.
// Source: struct vfs_cap_data in include/uapi/linux/capability.h, revision 2
func (f File) Xattrs() map[string]string {
	if len(f.Capabilities) == 0 {
		return nil
	}
	const revision2, effective = 0x02000000, 1
	var permitted uint64
	for _, name := range f.Capabilities {
		permitted |= 1 << slices.Index(linuxCapabilities, name)
	}
	data := binary.LittleEndian.AppendUint32(nil, revision2|effective)
	for _, half := range []uint64{permitted & 0xffffffff, permitted >> 32} {
		data = binary.LittleEndian.AppendUint32(data, uint32(half))
		data = binary.LittleEndian.AppendUint32(data, 0) // what programs would pass on
	}
	return map[string]string{"security.capability": string(data)}
}
