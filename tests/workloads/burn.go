// As burn.c, in Go. Go keeps frame pointers.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"
)

var sink uint64

//go:noinline
func hotHalf(n uint64) {
	x := n
	for i := uint64(0); i < n; i++ {
		x = x*6364136223846793005 + i
	}
	sink += x
}

//go:noinline
func hotThird(n uint64) {
	x := n + 1
	for i := uint64(0); i < n; i++ {
		x = x*6364136223846793005 + i
	}
	sink += x
}

//go:noinline
func hotFifth(n uint64) {
	x := n + 2
	for i := uint64(0); i < n; i++ {
		x = x*6364136223846793005 + i
	}
	sink += x
}

func cpuNs() uint64 {
	var t syscall.Timespec
	const threadCPU = 3
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, threadCPU, uintptr(unsafe.Pointer(&t)), 0)
	return uint64(t.Sec)*1000000000 + uint64(t.Nsec)
}

func main() {
	runtime.LockOSThread()
	seconds := 5.0
	if len(os.Args) > 1 {
		seconds, _ = strconv.ParseFloat(os.Args[1], 64)
	}
	hot := [3]func(uint64){hotHalf, hotThird, hotFifth}
	share := [3]float64{0.5, 0.3, 0.2}
	var spent [3]uint64
	var total, random uint64 = 0, 88172645463325252
	for float64(total) < seconds*1e9 {
		next := 0
		for i := 1; i < 3; i++ {
			if float64(spent[i])/share[i] < float64(spent[next])/share[next] {
				next = i
			}
		}
		random ^= random << 13
		random ^= random >> 7
		random ^= random << 17
		before := cpuNs()
		hot[next](200000 + random%1800000)
		took := cpuNs() - before
		spent[next] += took
		total += took
	}
	fmt.Printf("main.hotHalf %d\nmain.hotThird %d\nmain.hotFifth %d\n", spent[0], spent[1], spent[2])
}
