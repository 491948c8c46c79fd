module github.com/reflectt/bootstrap/scripts/container.d/notify

go 1.26.0
