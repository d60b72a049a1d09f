// Reads gzipped pprof files, merges them with google/pprof's own package and writes the sum, so many times as
// the first argument says; prints the milliseconds of each.
package main

import (
	"bytes"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/google/pprof/profile"
)

func main() {
	times, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	for i := 0; i < times; i++ {
		started := time.Now()
		if err := merge(os.Args[2:]); err != nil {
			log.Fatal(err)
		}
		fmt.Println(float64(time.Since(started).Microseconds()) / 1000)
	}
}

func merge(paths []string) error {
	var all []*profile.Profile
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		one, err := profile.ParseData(content)
		if err != nil {
			return err
		}
		all = append(all, one)
	}
	sum, err := profile.Merge(all)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	return sum.Write(&out)
}
