package respond

import (
	"strings"
	"testing"
)

// TestDial: where no connection is made to, also when a name has led there.
func TestDial(t *testing.T) {
	for _, address := range []string{
		"169.254.169.254:443", "[::ffff:169.254.169.254]:443", "[fe80::1%lo]:443", "0.0.0.0:443", "[::]:443", "224.0.0.1:443", "[ff02::1%lo]:443",
	} {
		conn, err := dial(t.Context(), "tcp", address)
		if err == nil {
			t.Errorf("%s: connected to %s", address, conn.RemoteAddr())
			_ = conn.Close() // the test has failed already
		} else if !strings.Contains(err.Error(), "nothing is sent there") {
			t.Errorf("%s: %v", address, err)
		}
	}
}
