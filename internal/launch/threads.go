package launch

import (
	"runtime"
	"sync"
)

// An init needs few threads: those that run at the same time, and those that wait in
// the kernel for a disk, a full log, a signal or the network. Under a storm of
// requests, with the log full, two that wait were enough.
const (
	mostRunning = 4
	mostWaiting = 8
)

// reserveThreads makes the threads that are needed later, for the Go runtime ends
// the program where it cannot have one, and a gateway may have used up the processes
// by then. Go keeps threads that have nothing to do.
func reserveThreads() {
	if runtime.GOMAXPROCS(0) > mostRunning {
		runtime.GOMAXPROCS(mostRunning)
	}
	// A goroutine that is locked to its thread shares it with no other.
	var locked, left sync.WaitGroup
	leave := make(chan struct{})
	for range runtime.GOMAXPROCS(0) + mostWaiting {
		locked.Add(1)
		left.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			locked.Done()
			<-leave
		})
	}
	locked.Wait()
	close(leave)
	left.Wait()
}
