package atomicfile

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// holder is the process that has a lock file locked, by the kernel's own list; 0
// where it does not say. A line of it is
//
//	1: FLOCK  ADVISORY  WRITE 4711 fd:01:1835037 0 EOF
func holder(path string) (pid int) {
	var stat unix.Stat_t
	locks, err := os.ReadFile("/proc/locks")
	if err != nil || unix.Lstat(path, &stat) != nil {
		return 0
	}
	file := fmt.Sprintf("%02x:%02x:%d", unix.Major(uint64(stat.Dev)), unix.Minor(uint64(stat.Dev)), stat.Ino)
	for line := range strings.Lines(string(locks)) {
		if fields := strings.Fields(line); len(fields) > 5 && fields[1] == "FLOCK" && fields[5] == file {
			pid, _ = strconv.Atoi(fields[4])
			return max(pid, 0)
		}
	}
	return 0
}
