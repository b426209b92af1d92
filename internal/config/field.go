package config

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// field is one setting: its tags, and where its value is.
type field struct {
	key, def, doc string
	v             reflect.Value
}

// fields lists the settings of c in the order of the struct.
func fields(c *Config) []field { return walk(reflect.ValueOf(c).Elem()) }

func walk(v reflect.Value) []field {
	var all []field
	for i := range v.NumField() {
		sf := v.Type().Field(i)
		if key, ok := sf.Tag.Lookup("key"); ok {
			all = append(all, field{key: key, def: sf.Tag.Get("default"), doc: sf.Tag.Get("doc"), v: v.Field(i)})
		} else if sf.IsExported() && sf.Type.Kind() == reflect.Struct {
			all = append(all, walk(v.Field(i))...)
		}
	}
	return all
}

// env is the variable of the setting: listen.api is HOLDFAST_LISTEN_API.
func (f field) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(f.key, ".", "_"))
}

// set reads the text into the value. The error says what was expected; it does not repeat the text.
func (f field) set(text string) error {
	text = strings.TrimSpace(text)
	switch p := f.v.Addr().Interface().(type) {
	case *string:
		*p = text
	case *bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return errors.New("it must be true or false")
		}
		*p = b
	case *Bytes:
		n, err := parseBytes(text)
		if err != nil {
			return err
		}
		*p = n
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			return errors.New("it must be a time such as 500ms, 15s or 2m")
		}
		*p = d
	case *slog.Level:
		levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
		l, ok := levels[strings.ToLower(text)]
		if !ok {
			return errors.New("it must be debug, info, warn or error")
		}
		*p = l
	case *[]netip.Prefix:
		return setPrefixes(p, text)
	default:
		return fmt.Errorf("a setting of type %s is not known to the reader", f.v.Type())
	}
	return nil
}

func setPrefixes(p *[]netip.Prefix, text string) error {
	*p = nil
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		n, err := netip.ParsePrefix(part)
		if err != nil {
			a, err := netip.ParseAddr(part)
			if err != nil || a.Zone() != "" {
				return errors.New("each part must be an address such as 10.0.0.4 or a range such as 10.0.0.0/24")
			}
			n = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
		}
		switch {
		case n.Addr().Is4In6():
			return fmt.Errorf("%s is an IPv4 range in IPv6 form, which matches nobody; write it as IPv4", n)
		case n != n.Masked():
			return fmt.Errorf("%s has bits behind its length: write %s for the range, or %s for the one address", n, n.Masked(), n.Addr())
		case n.Bits() == 0:
			return fmt.Errorf("%s is everybody: anyone could forge an address, or be served in plain; name the proxies", n)
		}
		*p = append(*p, n)
	}
	return nil
}

// list reports whether the setting is a list.
func (f field) list() bool { return f.v.Kind() == reflect.Slice }

// text is the value as it would be written.
func (f field) text() string {
	switch v := f.v.Interface().(type) {
	case slog.Level:
		return strings.ToLower(v.String())
	case Bytes:
		return v.String()
	case []netip.Prefix:
		parts := make([]string, len(v))
		for i, p := range v {
			parts[i] = p.String()
		}
		return strings.Join(parts, ",")
	default:
		return fmt.Sprint(v)
	}
}

var units = []struct {
	name string
	size Bytes
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {"", 1}}

// parseBytes reads a whole number with or without a unit.
func parseBytes(text string) (Bytes, error) {
	for _, u := range units {
		number, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/int64(u.size) {
			break
		}
		return Bytes(n) * u.size, nil
	}
	return 0, errors.New("it must be a size such as 65536, 64KiB, 16MiB or 1GiB")
}

// String is the size in the largest unit that divides it.
func (b Bytes) String() string {
	for _, u := range units {
		if b != 0 && b%u.size == 0 {
			return strconv.FormatInt(int64(b/u.size), 10) + u.name
		}
	}
	return "0"
}
