# Golden values of Amelia II 1.8.1 under R 4.2.2 (Debian 12: r-cran-amelia 1.8.1-1, r-base-core 4.2.2), made by
#   python tests/models/imputation/synthetic.py FOLDER DATA && Rscript tests/models/imputation/amelia.R FOLDER > amelia.json
# Of every table: m data sets are completed; their column means and covariances, in standard deviations of the
# observed cells, are averaged ("mean"), with the standard deviation between data sets ("sd").
suppressMessages(library(Amelia))
folder <- commandArgs(TRUE)[1]
m <- 200
numbers <- function(x) paste0("[", paste(sprintf("%.6g", x), collapse = ", "), "]")
write_case <- function(name, table, columns, ..., last = FALSE) {
  set.seed(20261128)
  found <- amelia(table, m = m, p2s = 0, ...)
  observed <- table[, columns]
  center <- colMeans(observed, na.rm = TRUE)
  scale <- apply(observed, 2, sd, na.rm = TRUE)
  answers <- sapply(found$imputations, function(completed) {
    z <- sweep(sweep(as.matrix(completed[, columns]), 2, center), 2, scale, "/")
    covariance <- cov(z)
    c(colMeans(z), covariance[lower.tri(covariance, diag = TRUE)])
  })
  gaps <- which(is.na(as.matrix(observed)), arr.ind = TRUE)
  gaps <- gaps[order(gaps[, 1], gaps[, 2]), , drop = FALSE]
  cells <- sapply(found$imputations, function(completed) {
    z <- sweep(sweep(as.matrix(completed[, columns]), 2, center), 2, scale, "/")
    z[gaps]
  })
  cat(sprintf('"%s": {"m": %d, "columns": ["%s"],\n  "mean": %s,\n  "sd": %s,\n  "cells_mean": %s,\n  "cells_sd": %s}%s\n',
    name, m, paste(columns, collapse = '", "'), numbers(rowMeans(answers)), numbers(apply(answers, 1, sd)),
    numbers(head(rowMeans(cells), 40)), numbers(head(apply(cells, 1, sd), 40)), if (last) "" else ","))
}
africa <- read.csv(file.path(folder, "africa.csv"))
freetrade <- read.csv(file.path(folder, "freetrade.csv"))
cat("{\n")
for (k in 0:9) {
  table <- read.csv(file.path(folder, sprintf("synthetic%d.csv", k)))
  write_case(sprintf("synthetic%d", k), table, names(table))
}
a <- c("gdp_pc", "infl", "trade", "civlib", "population")
write_case("africa", africa[, a], a)
write_case("africa_log", africa[, a], a, logs = "gdp_pc")
write_case("africa_panel", africa, a, ts = "year", cs = "country", polytime = 1, intercs = TRUE)
write_case("africa_prior", africa[, a], a, priors = rbind(c(35, 3, 40, 3), c(42, 1, 900, 50)))
f <- names(freetrade)[!names(freetrade) %in% c("country")]
write_case("freetrade", freetrade[, f], f)
v <- setdiff(f, "year")
write_case("freetrade_lags", freetrade, v, ts = "year", cs = "country", lags = "tariff", leads = "tariff")
write_case("freetrade_ridge", freetrade[, f], f, empri = 0.01 * nrow(freetrade))
write_case("freetrade_bounds", freetrade[, f], f, bounds = rbind(c(2, 10, 50)), last = TRUE)
cat("}\n")
