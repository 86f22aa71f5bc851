package command

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the log's language is now")

// fieldsOf lists what a type is written as, by the names in JSON.
func fieldsOf(t reflect.Type, prefix string, above []reflect.Type) (all []string) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return fieldsOf(t.Elem(), prefix, above)
	case reflect.Struct:
	default:
		return []string{prefix}
	}
	if t.PkgPath() == "time" || t.PkgPath() == "net/netip" || slices.Contains(above, t) {
		return []string{prefix}
	}
	for i := range t.NumField() {
		field := t.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case name == "-" || !field.IsExported():
			continue
		case name == "" && field.Anonymous:
			all = append(all, fieldsOf(field.Type, prefix, append(above, t))...)
			continue
		case name == "":
			name = field.Name
		}
		all = append(all, fieldsOf(field.Type, prefix+"."+name, append(above, t))...)
	}
	if len(all) == 0 {
		return []string{prefix}
	}
	return all
}

// The log's language does not change by accident: heads of two releases share a
// log while they are upgraded.
func TestTheLogsLanguageIsWrittenDown(t *testing.T) {
	t.Parallel()
	lines := []string{fmt.Sprint("level ", Level)}
	for _, c := range all() {
		for _, field := range fieldsOf(reflect.TypeOf(c), "", nil) {
			lines = append(lines, fmt.Sprintf("%d %s%s", c.Number(), reflect.TypeOf(c).Name(), field))
		}
		if level := LevelOf(c); level > Level {
			t.Errorf("%T is of level %d, and this program knows %d", c, level, Level)
		}
	}
	slices.Sort(lines[1:])
	path, now := filepath.Join("testdata", "language.txt"), strings.Join(lines, "\n")+"\n"
	if *update {
		if err := os.WriteFile(path, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(before) == now {
		return
	}
	known := strings.Split(string(before), "\n")
	for _, line := range lines {
		if !slices.Contains(known, line) {
			t.Errorf("new: %s", line)
		}
	}
	for _, line := range known {
		if line != "" && !slices.Contains(lines, line) {
			t.Errorf("gone: %s", line)
		}
	}
	t.Error("heads of the last release stop at what is new: raise Level, have LevelOf say so, and run this test with -update")
}
