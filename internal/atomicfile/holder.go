package atomicfile

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// holder is the process that has the first of these locked, by the kernel's
// own list; 0 where it does not say. To read that list takes milliseconds, whatever is
// in it: nobody on the machine may lock meanwhile, which the kernel waits for (RCU).
// A line of it is
//
//	1: FLOCK  ADVISORY  WRITE 4711 fd:01:1835037 0 EOF
func holder(targets []target) (pid int) {
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return 0
	}
	for _, target := range targets {
		var stat unix.Stat_t
		if unix.Lstat(target.path, &stat) != nil {
			continue
		}
		file := fmt.Sprintf("%02x:%02x:%d", unix.Major(uint64(stat.Dev)), unix.Minor(uint64(stat.Dev)), stat.Ino)
		for line := range strings.Lines(string(locks)) {
			if fields := strings.Fields(line); len(fields) > 5 && fields[1] == "FLOCK" && fields[5] == file {
				pid, _ = strconv.Atoi(fields[4])
				return max(pid, 0)
			}
		}
	}
	return 0
}
