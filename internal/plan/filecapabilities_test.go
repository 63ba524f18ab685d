package plan_test

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/plan"
)

// The attribute is what setcap writes: these were read with getfattr.
func TestXattrs(t *testing.T) {
	for want, capabilities := range map[string][]string{
		"0100000200040000000000000000000000000000": {"cap_net_bind_service"},
		"0100000200240000000000000000000000000000": {"cap_net_bind_service", "cap_net_raw"},
		"0100000201000000000000000001000000000000": {"cap_chown", "cap_checkpoint_restore"},
	} {
		assert.Equal(t, want, hex.EncodeToString([]byte(plan.File{Capabilities: capabilities}.Xattrs()["security.capability"])), "%v", capabilities)
	}
	assert.Nil(t, plan.File{}.Xattrs())
}

func TestCapabilityNames(t *testing.T) {
	_, tree := module(t)
	for _, name := range []string{"net_bind", "cap_cap_chown", "", "cap_", "all", "cap_net_raw=ep"} {
		_, err := plan.Resolve(t.Context(), tree, plan.Config{Capabilities: []string{name}})
		require.ErrorContains(t, err, "no capability of Linux: write its name, like cap_net_bind_service", name)
	}
}
